import { createHmac, randomUUID } from 'node:crypto';
import type { Ports } from '../ports/ports.ts';
import type { WebhookAnswer, WebhookSender } from '../ports/webhook-sender.ts';
import type { Notice } from './event.ts';
import { secretOf, type Webhook } from './webhook.ts';

/**
 * Posts one notice, signed as MLflow signs (mlflow/webhooks/delivery.py): HMAC-SHA256 of `id.timestamp.body` in base64
 * after `v1,`. The same `id` for every attempt lets the receiver leave out what it has seen.
 */
export async function deliver(
  ports: Pick<Ports, 'keys' | 'clock'>,
  sender: WebhookSender,
  webhook: Webhook,
  { event, data }: Notice,
  { id = randomUUID(), at = ports.clock.now() }: { id?: string; at?: number } = {},
): Promise<WebhookAnswer> {
  const body = JSON.stringify({
    entity: event.entity.toLowerCase(),
    action: event.action.toLowerCase(),
    timestamp: new Date(at).toISOString().replace('Z', '+00:00'),
    data,
    workspace: webhook.workspace,
  });
  const timestamp = String(Math.floor(ports.clock.now() / 1000));
  const secret = await secretOf(ports, webhook);
  return sender.post(
    webhook.url,
    {
      'content-type': 'application/json',
      'x-mlflow-delivery-id': id,
      'x-mlflow-timestamp': timestamp,
      ...(secret === undefined
        ? {}
        : { 'x-mlflow-signature': signature(secret, `${id}.${timestamp}.${body}`) }),
    },
    body,
  );
}

const signature = (secret: string, text: string) =>
  `v1,${createHmac('sha256', secret).update(text).digest('base64')}`;
