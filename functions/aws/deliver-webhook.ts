import type { Logger } from 'pino';
import type { WebhookSender } from '../../shared/ports/webhook-sender.ts';
import { attempt, type Delivery, inOutbox, outbox, spread } from '../../shared/webhooks/outbox.ts';
import { type BatchResult, failures, type Invocation, QueueEvent } from './events.ts';
import type { AwsPorts } from './ports.ts';
import { WebhookWork } from './work-messages.ts';

interface Deps extends AwsPorts {
  readonly sender: WebhookSender;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
}

/** What is due for longer than this has lost its message: the timer sends it another. */
const LOST_MS = 5 * 60_000;
/** A message that comes early is not the one that was sent for this attempt. */
const EARLY_MS = 2000;

/**
 * Tells webhooks what waits in the outbox, all messages of a batch at the same time. The outbox is the record: a message whose
 * entry is gone has done its work. Only those whose work failed come again; a webhook that refuses is no failure.
 */
export function deliverWebhooks(deps: Deps) {
  return async (event: unknown, { awsRequestId: requestId }: Invocation): Promise<BatchResult> => {
    const failed = await Promise.all(
      QueueEvent.parse(event).Records.map(async ({ messageId, body }) => {
        try {
          const work = WebhookWork.parse(JSON.parse(body));
          const done = 'task' in work ? await sendLost(deps) : await goOn(deps, work.outbox);
          const level = done.outcome === 'given up' ? 'warn' : 'info';
          deps.logger[level]({ requestId, ...work, ...done }, 'done');
          return [];
        } catch (err) {
          deps.logger.error({ requestId, messageId, err }, 'not done yet');
          return [messageId];
        }
      }),
    );
    return failures(failed.flat());
  };
}

async function goOn(deps: Deps, id: string): Promise<{ outcome: string; why?: string; count?: number }> {
  const { table, clock, webhookQueue, sender } = deps;
  const waiting = await inOutbox(table, id);
  if (!waiting) return { outcome: 'told already' };
  if (waiting.kind === 'event') {
    const tell = (deliveries: readonly Delivery[]) =>
      Promise.all(deliveries.map((delivery) => webhookQueue.send({ outbox: delivery.id })));
    const deliveries = await spread(deps, id, waiting.event, async (all) => void (await tell(all)));
    return { outcome: 'spread', count: deliveries.length };
  }
  if (waiting.at > clock.now() + EARLY_MS) return { outcome: 'not due yet' };
  const result = await attempt(deps, sender, waiting.delivery);
  if (result.outcome === 'again') await webhookQueue.send({ outbox: id }, result.delivery.due - clock.now());
  return { outcome: result.outcome, ...('why' in result ? { why: result.why } : {}) };
}

/** Sends a message for each that nobody has come to. */
async function sendLost({ table, clock, webhookQueue }: Deps): Promise<{ outcome: string; count: number }> {
  let count = 0;
  for await (const { id, at } of outbox(table)) {
    if (at > clock.now() - LOST_MS) continue;
    await webhookQueue.send({ outbox: id });
    count++;
  }
  return { outcome: 'sent again', count };
}
