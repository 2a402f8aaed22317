import { uuidv7 } from 'uuidv7';
import { domainEventOf } from '../audit/commit.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { Model } from '../registry/model.ts';
import { type MlflowNotice, sameEvent } from './event.ts';
import { CAIRN_EVENTS, type CairnEvent, mlflowName, type Subscription } from './event-name.ts';
import { noticesOf } from './notices.ts';
import type { Webhook } from './webhook.ts';

/** One thing to tell in Cairn's format: what `GET …/events` tells of it, as Standard Webhooks lays it out. */
export interface CairnNotice {
  readonly type: CairnEvent | 'webhook.test';
  readonly payload: {
    readonly id: string;
    readonly type: string;
    /** RFC 3339. */
    readonly timestamp: string;
    readonly workspace: string;
    readonly resource: string;
    readonly data: Readonly<Record<string, unknown>>;
  };
}

export type Notice = MlflowNotice | CairnNotice;

export const nameOfNotice = (notice: Notice): string =>
  'type' in notice ? notice.type : mlflowName(notice.event);

/** Whether it was asked for. */
export const wants = ({ events, actions = [] }: Subscription, notice: Notice): boolean =>
  'type' in notice
    ? actions.some((action) => action === notice.type)
    : events.some((event) => sameEvent(event, notice.event));

/** All that an audit event may be told as. A model that is gone is told of in Cairn's format only. */
export function allNotices(event: AuditEvent, model: Model | undefined): Notice[] {
  const type = CAIRN_EVENTS.find((name) => name === event.action);
  return [...(model ? noticesOf(event, model) : []), ...(type ? [cairnNotice(type, event)] : [])];
}

function cairnNotice(type: CairnEvent, event: AuditEvent): CairnNotice {
  const { id, workspace, resource, at, data } = domainEventOf(event);
  return { type, payload: { id, type, timestamp: new Date(at).toISOString(), workspace, resource, data } };
}

/** What a test sends in Cairn's format. */
export const testNotice = ({ id, workspace, name }: Webhook, at: number) =>
  ({
    type: 'webhook.test',
    payload: {
      id: uuidv7(),
      type: 'webhook.test',
      timestamp: new Date(at).toISOString(),
      workspace,
      resource: `webhook/${id}`,
      data: { subject: name },
    },
  }) satisfies CairnNotice;
