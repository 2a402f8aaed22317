import { randomUUID } from 'node:crypto';
import type { AuditEvent } from '../audit/event.ts';
import { eventKey } from '../audit/keys.ts';
import { CairnError } from '../errors.ts';
import type { DomainEvent } from '../ports/event-bus.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Key, Op, Table } from '../ports/table.ts';
import { WebhookRefused, type WebhookSender } from '../ports/webhook-sender.ts';
import { modelKey } from '../registry/keys.ts';
import type { Model } from '../registry/model.ts';
import { inTransactions } from '../tracking/batches.ts';
import { deliver } from './delivery.ts';
import { type Notice, sameEvent } from './event.ts';
import { noticesOf } from './notices.ts';
import { findWebhook, webhooksOf } from './webhook.ts';

/** A notice that one webhook has not taken yet; on the disk until it has, or has refused it too often. */
export interface Delivery {
  readonly format: 1;
  readonly id: string;
  readonly workspace: string;
  readonly webhook: string;
  readonly notice: Notice;
  readonly at: number;
}

const OUTBOX = 'webhook-outbox';
const outboxKey = (id: string): Key => ({ pk: OUTBOX, sk: id });

/** Puts what the event means to the workspace's webhooks into the outbox. */
export async function putInOutbox(
  ports: Pick<Ports, 'table'>,
  { workspace, resource, at, data }: DomainEvent,
): Promise<Delivery[]> {
  const [, id] = /^model\/(.+)$/.exec(resource) ?? [];
  if (id === undefined || typeof data.seq !== 'number') return [];
  const webhooks = (await webhooksOf(ports.table, workspace)).filter(({ status }) => status === 'ACTIVE');
  if (webhooks.length === 0) return [];
  const [event, model] = await ports.table.getMany([eventKey(resource, data.seq), modelKey(id)]);
  if (!event || !model) return [];
  const deliveries = noticesOf(event.body as AuditEvent, model.body as Model).flatMap((notice) =>
    webhooks
      .filter(({ events }) => events.some((wanted) => sameEvent(wanted, notice.event)))
      .map(
        (webhook): Delivery => ({ format: 1, id: randomUUID(), workspace, webhook: webhook.id, notice, at }),
      ),
  );
  await inTransactions(
    ports.table,
    deliveries.map((body): Op[] => [{ put: { ...outboxKey(body.id), body }, if: 'absent' }]),
  );
  return deliveries;
}

/** What an earlier process has left. */
export async function outbox(table: Table): Promise<Delivery[]> {
  const items = await Array.fromAsync(itemsOf(table, OUTBOX, ''));
  return items.map(({ body }) => body as Delivery);
}

export const removeFromOutbox = (table: Table, { id }: Delivery): Promise<void> =>
  table.transact([{ delete: outboxKey(id), if: 'any' }]);

export type Attempt =
  | { readonly outcome: 'delivered' }
  /** Nobody wants it any more, or it will never be taken. */
  | { readonly outcome: 'given up'; readonly why: string }
  | { readonly outcome: 'again'; readonly why: string; readonly after?: number | undefined };

/** MLflow's own: others will not be taken the next time either. */
const WORTH_ANOTHER = [429, 500, 502, 503, 504];

/** Posts it once. */
export async function attempt(
  ports: Pick<Ports, 'table' | 'keys' | 'clock'>,
  sender: WebhookSender,
  { id, workspace, webhook: webhookId, notice, at }: Delivery,
): Promise<Attempt> {
  try {
    const { webhook } = await findWebhook(ports.table, workspace, webhookId);
    if (webhook.status !== 'ACTIVE') return { outcome: 'given up', why: 'it was disabled' };
    const { status, retryAfter } = await deliver(ports, sender, webhook, notice, { id, at });
    if (status < 300) return { outcome: 'delivered' };
    const why = `it answered ${status}`;
    return WORTH_ANOTHER.includes(status)
      ? { outcome: 'again', why, after: retryAfter }
      : { outcome: 'given up', why };
  } catch (error) {
    const { message } = error as Error;
    const lasting = error instanceof WebhookRefused || error instanceof CairnError;
    return { outcome: lasting ? 'given up' : 'again', why: message };
  }
}
