import type { Key, Op } from '../ports/table.ts';
import type { AuditEvent } from './event.ts';

/** The actions of a workspace's models and endpoints that somebody outside is to be told of; absent where nobody is. */
export interface Followed {
  readonly actions: readonly string[];
}

/** What happened and has not been told yet: where its event is. */
export interface Untold {
  readonly format: 1;
  readonly workspace: string;
  readonly chain: string;
  readonly seq: number;
  readonly at: number;
}

export const followedKey = (workspace: string): Key => ({ pk: `followed/${workspace}`, sk: 'actions' });

export const OUTBOX = 'webhook-outbox';
export const outboxKey = (id: string): Key => ({ pk: OUTBOX, sk: id });

/** Only what happens to models and endpoints is told to others; other chains need not ask. */
export const mayBeFollowed = (chain: string): boolean => /^(model|endpoint)\//.test(chain);

/** The operation that puts an event into the outbox, in the event's own transaction, if somebody wants it. */
export function outboxOps(event: AuditEvent, followed: Followed | undefined): Op[] {
  if (!followed?.actions.includes(event.action)) return [];
  const { workspace, chain, seq, at } = event;
  const body: Untold = { format: 1, workspace, chain, seq, at };
  return [{ put: { ...outboxKey(event.id), body }, if: 'absent' }];
}
