import { exclusively } from '../audit/commit.ts';
import type { AuditEvent } from '../audit/event.ts';
import { OUTBOX, outboxKey, type Untold } from '../audit/followed.ts';
import { eventKey } from '../audit/keys.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Op, Table } from '../ports/table.ts';
import { WebhookRefused, type WebhookSender } from '../ports/webhook-sender.ts';
import { modelKey } from '../registry/keys.ts';
import type { Model } from '../registry/model.ts';
import { inTransactions, nameOf, readAll } from '../tracking/batches.ts';
import { type Deliveries, deliveriesKey, withDelivery } from './deliveries.ts';
import { deliver } from './delivery.ts';
import { allNotices, type Notice, nameOfNotice, wants } from './notice.ts';
import { findWebhook, webhookKey, webhooksOf } from './webhook.ts';

/** A notice that one webhook has not taken yet; on the disk until it has, or has refused it too often. */
export interface Delivery {
  readonly format: 1;
  readonly id: string;
  readonly workspace: string;
  readonly webhook: string;
  readonly notice: Notice;
  readonly at: number;
  /** How often it was tried. */
  readonly attempts: number;
  /** When it is to be tried next. */
  readonly due: number;
}

/** What waits in the outbox: an event that a change has put there, or what it became for one webhook. */
export type Waiting =
  | { readonly kind: 'event'; readonly id: string; readonly at: number; readonly event: Untold }
  | { readonly kind: 'delivery'; readonly id: string; readonly at: number; readonly delivery: Delivery };

const waitingOf = ({ sk: id, body }: Item): Waiting => {
  const known = body as Untold | (Omit<Delivery, 'attempts' | 'due'> & Partial<Delivery>);
  if ('seq' in known) return { kind: 'event', id, at: known.at, event: known };
  // The first deliveries did not tell how often they were tried.
  const delivery: Delivery = { ...known, attempts: known.attempts ?? 0, due: known.due ?? known.at };
  return { kind: 'delivery', id, at: delivery.due, delivery };
};

/** All that waits: also what a process has left that is no more. */
export async function* outbox(table: Table): AsyncGenerator<Waiting> {
  for await (const item of itemsOf(table, OUTBOX)) yield waitingOf(item);
}

/** One of them; undefined when it was told, or given up. */
export async function inOutbox(table: Table, id: string): Promise<Waiting | undefined> {
  const item = await table.get(outboxKey(id));
  return item && waitingOf(item);
}

/**
 * Turns an event into a delivery for each webhook that wants it. It leaves the outbox when the deliveries are in it and `told`
 * knows them, so that a process may end anywhere; begun anew, the deliveries have the same ids.
 */
export async function spread(
  { table }: Pick<Ports, 'table'>,
  id: string,
  { workspace, chain, seq, at }: Untold,
  told: (deliveries: readonly Delivery[]) => Promise<void> = async () => undefined,
): Promise<Delivery[]> {
  const [kind, ...resource] = chain.split('/');
  const [event, model] = await table.getMany([
    eventKey(chain, seq),
    ...(kind === 'model' ? [modelKey(resource.join('/'))] : []),
  ]);
  const notices = event ? allNotices(event.body as AuditEvent, model?.body as Model | undefined) : [];
  const webhooks = notices.length === 0 ? [] : await webhooksOf(table, workspace);
  const deliveries = notices.flatMap((notice, index) =>
    webhooks
      .filter(({ status, createdAt }) => status === 'ACTIVE' && createdAt <= at)
      .filter((webhook) => wants(webhook, notice))
      .map(
        (webhook): Delivery => ({
          format: 1,
          id: nameOf(id, 'type' in notice ? notice.type : index, webhook.id),
          workspace,
          webhook: webhook.id,
          notice,
          at,
          attempts: 0,
          due: at,
        }),
      ),
  );
  const there = await readAll(
    table,
    deliveries.map((delivery) => outboxKey(delivery.id)),
  );
  const missing = deliveries.filter((delivery) => !there.has(delivery.id));
  await inTransactions(
    table,
    missing.map((body): Op[] => [{ put: { ...outboxKey(body.id), body }, if: 'absent' }]),
  );
  await told(deliveries);
  await table.transact([{ delete: outboxKey(id), if: 'any' }]);
  return deliveries;
}

type Attempt =
  | { readonly outcome: 'delivered' }
  /** Nobody wants it any more, or it will never be taken. */
  | { readonly outcome: 'given up'; readonly why: string }
  | { readonly outcome: 'again'; readonly why: string; readonly delivery: Delivery };

/** MLflow's own: others will not be taken the next time either. */
const WORTH_ANOTHER = [429, 500, 502, 503, 504];
const FIRST_PAUSE_MS = 1000;
/** A queue of SQS holds a message for no longer. */
const LONGEST_PAUSE_MS = 15 * 60_000;
const GIVEN_UP_AFTER_MS = 24 * 60 * 60_000;

/**
 * Posts it once. It stays in the outbox, with when it is due again, as long as another attempt is worth it: for a day, with
 * pauses that grow (1 s, 2 s … 15 min, and as `Retry-After` says). How it went is written down with that.
 */
export async function attempt(
  ports: Pick<Ports, 'table' | 'keys' | 'clock'>,
  sender: WebhookSender,
  delivery: Delivery,
): Promise<Attempt> {
  const result = judged(delivery, await post(ports, sender, delivery), ports.clock.now());
  const { workspace, webhook } = delivery;
  const { pk, sk } = deliveriesKey(workspace, webhook);
  return exclusively(`${pk}/${sk}`, () => settle(ports, delivery, result));
}

/** Whether another attempt is worth it, and when. */
function judged(delivery: Delivery, result: Posted, now: number): Attempt {
  if (result.outcome !== 'again') return result;
  const pause = Math.max(FIRST_PAUSE_MS * 2 ** delivery.attempts, (result.after ?? 0) * 1000);
  const due = now + Math.min(pause, LONGEST_PAUSE_MS);
  if (due >= delivery.at + GIVEN_UP_AFTER_MS) return { outcome: 'given up', why: result.why };
  return {
    outcome: 'again',
    why: result.why,
    delivery: { ...delivery, attempts: delivery.attempts + 1, due },
  };
}

/** Another process may have told it in the meantime: then it stays gone. */
async function settle(
  { table, clock }: Pick<Ports, 'table' | 'clock'>,
  delivery: Delivery,
  result: Attempt,
): Promise<Attempt> {
  const { id, workspace, webhook } = delivery;
  const keys = [outboxKey(id), webhookKey(workspace, webhook), deliveriesKey(workspace, webhook)] as const;
  const [waiting, known, record] = await table.getMany(keys);
  if (!waiting || (result.outcome === 'again' && !isAt(waiting, delivery.attempts)))
    return result.outcome === 'again' ? { outcome: 'given up', why: 'it was settled meanwhile' } : result;
  const ops: Op[] = [
    result.outcome === 'again'
      ? { put: { ...keys[0], body: result.delivery }, if: { rev: waiting.rev } }
      : { delete: keys[0], if: 'any' },
  ];
  if (known) {
    const body = withDelivery(
      record?.body as Deliveries | undefined,
      recordOf(delivery, result, clock.now()),
    );
    ops.push(
      // What is kept of a webhook goes with it.
      { check: keys[1], if: 'exists' },
      { put: { ...keys[2], body }, if: record ? { rev: record.rev } : 'absent' },
    );
  }
  await table.transact(ops);
  return result;
}

const isAt = (item: Item, attempts: number) => {
  const found = waitingOf(item);
  return found.kind === 'delivery' && found.delivery.attempts === attempts;
};

const STATES = { delivered: 'DELIVERED', again: 'WAITING', 'given up': 'FAILED' } as const;

const recordOf = ({ id, notice, at, attempts }: Delivery, result: Attempt, now: number) => ({
  id,
  event: nameOfNotice(notice),
  at,
  state: STATES[result.outcome],
  attempts: attempts + 1,
  lastAttemptAt: now,
  ...('why' in result ? { why: result.why } : {}),
  ...('delivery' in result ? { due: result.delivery.due } : {}),
});

type Posted =
  | { readonly outcome: 'delivered' }
  | { readonly outcome: 'given up'; readonly why: string }
  | { readonly outcome: 'again'; readonly why: string; readonly after?: number | undefined };

async function post(
  ports: Pick<Ports, 'table' | 'keys' | 'clock'>,
  sender: WebhookSender,
  { id, workspace, webhook: webhookId, notice, at }: Delivery,
): Promise<Posted> {
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
