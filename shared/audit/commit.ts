import { V7Generator } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import type { DomainEvent } from '../ports/event-bus.ts';
import type { Ports } from '../ports/ports.ts';
import { ConditionFailed, type Op } from '../ports/table.ts';
import { chainsPartition } from './chains.ts';
import { type AuditEvent, GENESIS, hashOf } from './event.ts';
import { feedItem } from './feed.ts';
import { type Followed, followedKey, mayBeFollowed, outboxOps } from './followed.ts';
import { type ChainHead, eventKey, headKey } from './keys.ts';

/** A change of one resource, as its audit event tells it. */
export interface Change {
  readonly chain: string;
  readonly workspace: string;
  readonly action: string;
  readonly subject: string;
  readonly reason?: string | undefined;
  readonly before?: unknown;
  readonly after?: unknown;
}

/**
 * Writes `ops`, the audit event of the change and, where webhooks want it, its entry in their outbox in one transaction, then
 * tells the event bus.
 * Every state change of a resource goes through here.
 * @throws ConditionFailed when one of `ops` did not hold: read again and decide anew, for example in {@link exclusively}
 */
export async function commit(
  ports: Pick<Ports, 'table' | 'clock' | 'bus'>,
  caller: Caller,
  change: Change,
  ops: readonly Op[],
): Promise<AuditEvent> {
  for (;;) {
    // One call, whether or not somebody follows the workspace.
    const [head, followed] = mayBeFollowed(change.chain)
      ? await ports.table.getMany([headKey(change.chain), followedKey(change.workspace)])
      : [await ports.table.get(headKey(change.chain))];
    const event = nextEvent(head?.body as ChainHead | undefined, caller, change, ports.clock.now());
    const told = outboxOps(event, followed?.body as Followed | undefined);
    try {
      await ports.table.transact([...ops, ...eventOps(event, head?.rev), ...told]);
    } catch (error) {
      if (error instanceof ConditionFailed && error.failed.every((index) => index >= ops.length)) continue;
      throw error;
    }
    await ports.bus.publish({ ...domainEventOf(event), ...(told.length === 0 ? {} : { inOutbox: true }) });
    return event;
  }
}

/** An audit event as the event bus tells it. */
export const domainEventOf = ({
  id,
  workspace,
  action,
  chain,
  at,
  seq,
  subject,
  reason,
  after,
}: AuditEvent) =>
  ({
    id,
    workspace,
    type: action,
    resource: chain,
    at,
    data: { seq, subject, reason, after },
  }) satisfies DomainEvent;

/** Of this process: each id is greater than the one before, also within a millisecond. */
const ids = new V7Generator();

function nextEvent(head: ChainHead | undefined, caller: Caller, change: Change, at: number): AuditEvent {
  const { tokenId, principal, issuer } = caller;
  const unsigned: Omit<AuditEvent, 'hash'> = {
    format: 1,
    chain: change.chain,
    seq: (head?.seq ?? 0) + 1,
    id: ids.generateOrResetWithTs(at).toString(),
    at,
    workspace: change.workspace,
    action: change.action,
    subject: change.subject,
    actor: {
      principal,
      ...(tokenId === undefined ? {} : { tokenId }),
      ...(issuer === undefined ? {} : { issuer }),
    },
    requestId: caller.requestId,
    ...(caller.call === undefined ? {} : { call: caller.call }),
    ...(change.reason === undefined ? {} : { reason: change.reason }),
    ...(change.before === undefined ? {} : { before: change.before }),
    ...(change.after === undefined ? {} : { after: change.after }),
    previous: head?.hash ?? GENESIS,
  };
  return { ...unsigned, hash: hashOf(unsigned) };
}

function eventOps(event: AuditEvent, headRev: number | undefined): Op[] {
  const head: ChainHead = { seq: event.seq, hash: event.hash };
  return [
    {
      put: { ...headKey(event.chain), body: head },
      if: headRev === undefined ? 'absent' : { rev: headRev },
    },
    { put: { ...eventKey(event.chain, event.seq), body: event }, if: 'absent' },
    { put: feedItem(event), if: 'absent' },
    ...(headRev === undefined
      ? [{ put: { pk: chainsPartition(event.workspace), sk: event.chain, body: {} }, if: 'absent' as const }]
      : []),
  ];
}

const queues = new Map<string, Promise<unknown>>();

/**
 * Runs read-decide-write on one resource: one after the other within this process, so that local writers do not
 * make each other retry, and again from the start when another process was quicker (ConditionFailed).
 */
export async function exclusively<T>(chain: string, decide: () => Promise<T>): Promise<T> {
  const before = queues.get(chain) ?? Promise.resolve();
  const run = before.then(() => retrying(decide));
  const settled = run.catch(() => undefined);
  queues.set(chain, settled);
  try {
    return await run;
  } finally {
    if (queues.get(chain) === settled) queues.delete(chain);
  }
}

const ATTEMPTS = 64;

async function retrying<T>(decide: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof ConditionFailed) || attempt === ATTEMPTS) throw error;
    }
  }
}
