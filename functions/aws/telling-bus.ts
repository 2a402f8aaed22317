import type { Logger } from 'pino';
import type { EventBus } from '../../shared/ports/event-bus.ts';
import type { WebhookWork } from './work-messages.ts';
import type { WorkQueue } from './work-queue.ts';

/** A bus that also sends `deliver-webhook` what a change has put into the outbox. */
export function tellingBus(
  bus: EventBus,
  queue: WorkQueue<WebhookWork>,
  logger: Pick<Logger, 'error'>,
): EventBus {
  const tell = (outbox: string) =>
    queue
      .send({ outbox })
      // It waits in the outbox: the timer comes to it when this message does not.
      .catch((err) => logger.error({ err, event: outbox }, 'cannot send an event to webhooks'));
  return {
    async publish({ inOutbox, ...event }) {
      await Promise.all([bus.publish(event), ...(inOutbox ? [tell(event.id)] : [])]);
    },
  };
}
