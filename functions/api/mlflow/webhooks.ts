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
} from '../../../shared/webhooks/webhook.ts';
import { list, maxResults, object, Text } from './input.ts';
import { type Route, route } from './route.ts';

const Name = z
  .string()
  .regex(
    /^(?=.{1,63}$)[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i,
    'must begin and end with a letter or digit, and have at most 63 of letters, digits, ".", "_" and "-"',
  );
const Url = z.string().min(1).max(500);
const Events = list(WebhookEvent).pipe(z.array(WebhookEvent).min(1, 'must not be empty'));
const Status = z.enum(['ACTIVE', 'DISABLED']);
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
      name: Name,
      description: Description.default(''),
      url: Url,
      events: Events,
      secret: Secret.optional(),
      status: Status.default('ACTIVE'),
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
      return {
        ...(items.length === 0 ? {} : { webhooks: items.map(webhookJson) }),
        ...(next === undefined ? {} : { next_page_token: next }),
      };
    },
  ),

  route('GET', 'webhooks/:webhook_id', Id, async ({ webhook_id }, { ports, caller, workspace }) => ({
    webhook: webhookJson(await getWebhook(ports, caller, workspace, webhook_id)),
  })),

  route(
    'PATCH',
    'webhooks/:webhook_id',
    object({
      webhook_id: Text,
      name: Name.optional(),
      description: Description.optional(),
      url: Url.optional(),
      events: list(WebhookEvent),
      secret: Secret.optional(),
      status: Status.optional(),
    }),
    async ({ webhook_id, events, ...given }, { ports, caller, workspace }) => {
      if (given.url !== undefined) sender.check(given.url);
      const set = Object.entries(given).filter(([, value]) => value !== undefined);
      const patch = { ...Object.fromEntries(set), ...(events.length === 0 ? {} : { events }) };
      return { webhook: webhookJson(await updateWebhook(ports, caller, workspace, webhook_id, patch)) };
    },
  ),

  route('DELETE', 'webhooks/:webhook_id', Id, async ({ webhook_id }, { ports, caller, workspace }) => {
    await deleteWebhook(ports, caller, workspace, webhook_id);
    return {};
  }),

  route(
    'POST',
    'webhooks/:webhook_id/test',
    object({ webhook_id: Text, event: WebhookEvent.optional() }),
    async ({ webhook_id, event }, { ports, caller, workspace }) => {
      const webhook = await getWebhook(ports, caller, workspace, webhook_id);
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
