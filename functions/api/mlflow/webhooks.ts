import * as z from 'zod';
import { CairnError } from '../../../shared/errors.ts';
import type { WebhookSender } from '../../../shared/ports/webhook-sender.ts';
import { Description } from '../../../shared/registry/name.ts';
import { deliver } from '../../../shared/webhooks/delivery.ts';
import { exampleOf, WebhookEvent } from '../../../shared/webhooks/event.ts';
import {
  createWebhook,
  deleteWebhook,
  getWebhook,
  listWebhooks,
  updateWebhook,
  type Webhook,
  WebhookName,
  WebhookStatus,
  WebhookUrl,
} from '../../../shared/webhooks/webhook.ts';
import { list, maxResults, object, Text } from './input.ts';
import { type Route, route } from './route.ts';

const Events = list(WebhookEvent).pipe(z.array(WebhookEvent).min(1, 'must not be empty'));
const Secret = z.string().max(1000);
const Id = object({ webhook_id: Text });

/** MLflow's webhooks (mlflow/protos/webhooks.proto). @param sender without one they are refused: nobody would deliver */
export const webhookRoutes = (sender: WebhookSender | undefined): readonly Route[] =>
  sender === undefined ? [] : routes(sender);

const routes = (sender: WebhookSender): readonly Route[] => [
  route(
    'POST',
    'webhooks',
    object({
      name: WebhookName,
      description: Description.default(''),
      url: WebhookUrl,
      events: Events,
      secret: Secret.optional(),
      status: WebhookStatus.default('ACTIVE'),
    }),
    async (input, { ports, caller, workspace }) => {
      sender.check(input.url);
      return { webhook: webhookJson(await createWebhook(ports, caller, workspace, input)) };
    },
  ),

  route(
    'GET',
    'webhooks',
    object({ max_results: maxResults(100, 1000), page_token: Text.optional() }),
    async ({ max_results, page_token }, { ports, caller, workspace }) => {
      const { items, next } = await listWebhooks(ports, caller, workspace, {
        limit: max_results,
        after: page_token || undefined,
      });
      const known = items.filter(isMlflows);
      return {
        ...(known.length === 0 ? {} : { webhooks: known.map(webhookJson) }),
        ...(next === undefined ? {} : { next_page_token: next }),
      };
    },
  ),

  route('GET', 'webhooks/:webhook_id', Id, async ({ webhook_id }, { ports, caller, workspace }) => ({
    webhook: webhookJson(await mlflows(ports, caller, workspace, webhook_id)),
  })),

  route(
    'PATCH',
    'webhooks/:webhook_id',
    object({
      webhook_id: Text,
      name: WebhookName.optional(),
      description: Description.optional(),
      url: WebhookUrl.optional(),
      events: list(WebhookEvent),
      secret: Secret.optional(),
      status: WebhookStatus.optional(),
    }),
    async ({ webhook_id, events, ...given }, { ports, caller, workspace }) => {
      await mlflows(ports, caller, workspace, webhook_id);
      if (given.url !== undefined) sender.check(given.url);
      const set = Object.entries(given).filter(([, value]) => value !== undefined);
      const patch = { ...Object.fromEntries(set), ...(events.length === 0 ? {} : { events }) };
      return { webhook: webhookJson(await updateWebhook(ports, caller, workspace, webhook_id, patch)) };
    },
  ),

  route('DELETE', 'webhooks/:webhook_id', Id, async ({ webhook_id }, { ports, caller, workspace }) => {
    await mlflows(ports, caller, workspace, webhook_id);
    await deleteWebhook(ports, caller, workspace, webhook_id);
    return {};
  }),

  route(
    'POST',
    'webhooks/:webhook_id/test',
    object({ webhook_id: Text, event: WebhookEvent.optional() }),
    async ({ webhook_id, event }, { ports, caller, workspace }) => {
      const webhook = await mlflows(ports, caller, workspace, webhook_id);
      const [first] = webhook.events;
      const wanted = event ?? first;
      if (wanted === undefined) throw new CairnError('INVALID_ARGUMENT', 'event must be given.', 'event');
      try {
        const { status, body } = await deliver(ports, sender, webhook, exampleOf(wanted));
        return { result: { success: status < 300, response_status: status, response_body: body } };
      } catch (error) {
        const { message } = error as Error;
        return { result: { success: false, error_message: `Failed to test webhook: ${message}` } };
      }
    },
  ),
];

/** MLflow's client takes no webhook without events: one that is told of Cairn's alone is the native API's. */
const isMlflows = ({ events }: Webhook) => events.length > 0;

/** @throws CairnError `WEBHOOK_NOT_FOUND` */
async function mlflows(...ref: Parameters<typeof getWebhook>): Promise<Webhook> {
  const webhook = await getWebhook(...ref);
  if (isMlflows(webhook)) return webhook;
  const detail = `The webhook ${webhook.id} has no event of MLflow’s: see it with \`cairn webhooks show ${webhook.id}\`.`;
  throw new CairnError('WEBHOOK_NOT_FOUND', detail, 'webhook_id');
}

const webhookJson = ({ id, name, description, url, events, status, createdAt, updatedAt }: Webhook) => ({
  webhook_id: id,
  name,
  ...(description === '' ? {} : { description }),
  url,
  events,
  status,
  creation_timestamp: createdAt,
  last_updated_timestamp: updatedAt,
});
