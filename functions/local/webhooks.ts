import type { Logger } from 'pino';
import type { InProcessBus } from '../../shared/adapters/local/in-process-bus.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import type { WebhookSender } from '../../shared/ports/webhook-sender.ts';
import {
  attempt,
  type Delivery,
  outbox,
  putInOutbox,
  removeFromOutbox,
} from '../../shared/webhooks/outbox.ts';

const AT_ONCE = 10;
const ATTEMPTS = 6;
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Delivers what happens to the webhooks: at least once, tried again with growing pauses (1 s, 2 s … and as `Retry-After`
 * says), and after a restart begun anew.
 */
export async function startWebhooks(
  ports: Ports,
  { subscribe }: Pick<InProcessBus, 'subscribe'>,
  sender: WebhookSender,
  logger: Logger,
): Promise<{ close(): Promise<void> }> {
  const waiting: { delivery: Delivery; attempts: number }[] = [];
  const running = new Set<Promise<void>>();
  const timers = new Set<NodeJS.Timeout>();
  let closed = false;

  const add = (delivery: Delivery, attempts = 0) => {
    waiting.push({ delivery, attempts });
    pump();
  };
  const track = (work: Promise<void>) => {
    const task: Promise<void> = work
      .catch((err) => logger.error({ err }, 'webhooks'))
      .finally(() => {
        running.delete(task);
        pump();
      });
    running.add(task);
  };
  const pump = () => {
    while (!closed && running.size < AT_ONCE) {
      const next = waiting.shift();
      if (next === undefined) return;
      track(post(next.delivery, next.attempts + 1));
    }
  };
  const post = async (delivery: Delivery, attempts: number) => {
    const result = await attempt(ports, sender, delivery);
    if (result.outcome === 'again' && attempts < ATTEMPTS) {
      const pause = Math.max(FIRST_PAUSE_MS * 2 ** (attempts - 1), (result.after ?? 0) * 1000);
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          add(delivery, attempts);
        },
        Math.min(pause, LONGEST_PAUSE_MS),
      );
      timers.add(timer.unref());
      return;
    }
    if (result.outcome !== 'delivered') {
      const { id, webhook } = delivery;
      logger.warn({ delivery: id, webhook, attempts, why: result.why }, 'a webhook did not take a delivery');
    }
    await removeFromOutbox(ports.table, delivery);
  };

  const unsubscribe = subscribe((event) => {
    track(
      putInOutbox(ports, event).then((deliveries) => {
        for (const delivery of deliveries) add(delivery);
      }),
    );
  });
  for (const delivery of await outbox(ports.table)) add(delivery);
  return {
    async close() {
      closed = true;
      unsubscribe();
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(running);
    },
  };
}
