import { createHmac, randomUUID } from 'node:crypto';
import type { Ports } from '../ports/ports.ts';
import type { WebhookAnswer, WebhookSender } from '../ports/webhook-sender.ts';
import type { MlflowNotice } from './event.ts';
import type { Notice } from './notice.ts';
import { keyOf } from './secret.ts';
import { secretOf, type Webhook } from './webhook.ts';

/**
 * Posts one notice, signed as Standard Webhooks and MLflow (mlflow/webhooks/delivery.py) sign: HMAC-SHA256 of
 * `id.timestamp.body` in base64 after `v1,`; only the headers' names differ. The same `id` for every attempt lets the receiver
 * leave out what it has seen.
 */
export async function deliver(
  ports: Pick<Ports, 'keys' | 'clock'>,
  sender: WebhookSender,
  webhook: Webhook,
  notice: Notice,
  { id = randomUUID(), at = ports.clock.now() }: { id?: string; at?: number } = {},
): Promise<WebhookAnswer> {
  const native = 'type' in notice;
  const body = JSON.stringify(native ? notice.payload : mlflowBody(webhook, notice, at));
  const timestamp = String(Math.floor(ports.clock.now() / 1000));
  const secret = await secretOf(ports, webhook);
  const [idHeader, timestampHeader, signatureHeader] = native ? STANDARD : MLFLOW;
  return sender.post(
    webhook.url,
    {
      'content-type': 'application/json',
      [idHeader]: id,
      [timestampHeader]: timestamp,
      ...(secret === undefined
        ? {}
        : { [signatureHeader]: signature(native ? keyOf(secret) : secret, `${id}.${timestamp}.${body}`) }),
    },
    body,
  );
}

const STANDARD = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;
const MLFLOW = ['x-mlflow-delivery-id', 'x-mlflow-timestamp', 'x-mlflow-signature'] as const;

const mlflowBody = ({ workspace }: Webhook, { event, data }: MlflowNotice, at: number) => ({
  entity: event.entity.toLowerCase(),
  action: event.action.toLowerCase(),
  timestamp: new Date(at).toISOString().replace('Z', '+00:00'),
  data,
  workspace,
});

const signature = (key: string | Buffer, text: string) =>
  `v1,${createHmac('sha256', key).update(text).digest('base64')}`;
