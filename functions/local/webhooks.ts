import type { Logger } from 'pino';
import type { InProcessBus } from '../../shared/adapters/local/in-process-bus.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import type { WebhookSender } from '../../shared/ports/webhook-sender.ts';
import { attempt, inOutbox, outbox, spread, type Waiting } from '../../shared/webhooks/outbox.ts';
import { followAll } from '../../shared/webhooks/webhook.ts';

const AT_ONCE = 20;
/** Of one webhook: a receiver that takes half a minute for each answer must not keep the others waiting. */
const AT_ONCE_EACH = 4;
/** After a fault of our own, such as a full disk. */
const AGAIN_MS = 5000;

/**
 * Delivers what the outbox has to the webhooks: what an earlier process has left, then what happens. At least once, and after
 * a restart it goes on where it was.
 */
export async function startWebhooks(
  ports: Ports,
  { subscribe }: Pick<InProcessBus, 'subscribe'>,
  sender: WebhookSender,
  logger: Logger,
): Promise<{ close(): Promise<void> }> {
  const waiting: Waiting[] = [];
  const running = new Set<Promise<void>>();
  const timers = new Set<NodeJS.Timeout>();
  let closed = false;
  /** Deliveries under way, by webhook. */
  const posting = new Map<string, number>();

  const track = (id: string, work: Promise<void>) => {
    const task: Promise<void> = work
      .catch((err) => {
        logger.error({ err, waiting: id }, 'webhooks: not done yet');
        later(AGAIN_MS, () => track(id, lookUp(id)));
      })
      .finally(() => {
        running.delete(task);
        pump();
      });
    running.add(task);
  };
  const pump = () => {
    while (!closed && running.size < AT_ONCE) {
      const index = waiting.findIndex(
        (one) => one.kind === 'event' || (posting.get(one.delivery.webhook) ?? 0) < AT_ONCE_EACH,
      );
      const [next] = index < 0 ? [] : waiting.splice(index, 1);
      if (next === undefined) return;
      track(next.id, goOn(next));
    }
  };
  const add = (...more: Waiting[]) => {
    for (const one of more) {
      const pause = one.at - ports.clock.now();
      if (pause <= 0) waiting.push(one);
      else {
        later(pause, () => {
          waiting.push(one);
          pump();
        });
      }
    }
    pump();
  };
  const later = (pause: number, work: () => void) => {
    if (closed) return;
    const timer = setTimeout(() => {
      timers.delete(timer);
      work();
    }, pause);
    timers.add(timer.unref());
  };
  const lookUp = async (id: string) => {
    const found = await inOutbox(ports.table, id);
    if (found) add(found);
  };
  const goOn = async (one: Waiting) => {
    if (one.kind === 'event') {
      const deliveries = await spread(ports, one.id, one.event);
      add(
        ...deliveries.map(
          (delivery): Waiting => ({ kind: 'delivery', id: delivery.id, at: delivery.due, delivery }),
        ),
      );
      return;
    }
    const { webhook } = one.delivery;
    posting.set(webhook, (posting.get(webhook) ?? 0) + 1);
    const result = await attempt(ports, sender, one.delivery).finally(() => {
      const left = (posting.get(webhook) ?? 1) - 1;
      if (left > 0) posting.set(webhook, left);
      else posting.delete(webhook);
    });
    if (result.outcome === 'again') add({ ...one, at: result.delivery.due, delivery: result.delivery });
    if (result.outcome !== 'given up') return;
    const { id, attempts } = one.delivery;
    logger.warn(
      { delivery: id, webhook, attempts: attempts + 1, why: result.why },
      'a webhook did not take a delivery',
    );
  };

  const unsubscribe = subscribe(({ id, inOutbox: told }) => {
    if (told) track(id, lookUp(id));
  });
  await followAll(ports);
  for await (const one of outbox(ports.table)) add(one);
  return {
    async close() {
      closed = true;
      unsubscribe();
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}
