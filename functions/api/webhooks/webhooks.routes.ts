import * as z from 'zod';
import { Description } from '../../../shared/registry/name.ts';
import { EventName } from '../../../shared/webhooks/event-name.ts';
import { WebhookSecret } from '../../../shared/webhooks/secret.ts';
import { WebhookName, WebhookStatus, WebhookUrl } from '../../../shared/webhooks/webhook.ts';
import { API, type Contract } from '../contract.ts';
import { later } from '../later.ts';
import { ETAG, Reason } from '../models/models.routes.ts';
import { PageQuery, pageOf } from '../page.ts';
import { Time } from '../time.ts';
import { WorkspaceParam } from '../workspaces/workspaces.routes.ts';

const params = z.object({ workspace: WorkspaceParam });
const WebhookParams = params.extend({
  webhook: z.uuid('must be a webhook’s id').meta({
    description: 'The webhook’s id.',
    example: '0195f3a1-7c4e-7b53-9c1a-3a5f0c6f9b1e',
  }),
});

const Url = WebhookUrl.meta({
  description: 'Where deliveries are posted: a public https address without user name and password.',
});
const Events = z.array(EventName).min(1).max(EventName.options.length).meta({
  description:
    'What it is told of. The names of Cairn’s own events, as `GET …/events` tells them, come in Cairn’s format; those of MLflow’s (`registered_model.created` …) in MLflow’s.',
});
const Status = WebhookStatus.meta({ description: 'DISABLED: it is told nothing until it is ACTIVE again.' });
const Secret = WebhookSecret.optional().meta({
  description:
    'What deliveries are signed with: `whsec_` and the base64 of 24 to 64 bytes. It is kept encrypted and never shown again.',
});

const Webhook = later(() =>
  z
    .strictObject({
      id: z.string(),
      workspace: z.string(),
      name: z.string(),
      description: z.string(),
      url: z.string(),
      events: z.array(z.string()),
      status: WebhookStatus,
      signed: z.boolean().meta({ description: 'Whether it has a secret.' }),
      createdAt: Time,
      updatedAt: Time,
    })
    .meta({ id: 'Webhook' }),
);

export const listWebhooks = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/webhooks`,
  operationId: 'listWebhooks',
  tag: 'webhooks',
  summary: 'List the workspace’s webhooks, also those that MLflow’s clients made',
  params,
  query: PageQuery,
  answers: { 200: { description: 'A page of webhooks, oldest first.', schema: pageOf(Webhook) } },
  errors: ['WORKSPACE_NOT_FOUND', 'NOT_SUPPORTED'],
} satisfies Contract;

export const createWebhook = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/webhooks`,
  operationId: 'createWebhook',
  tag: 'webhooks',
  summary: 'Have an address told what happens',
  description:
    'Only admins of the workspace: it is told of all models and endpoints. 100 in a workspace at most.',
  params,
  body: z
    .strictObject({
      name: WebhookName,
      description: Description.default(''),
      url: Url,
      events: Events,
      status: Status.default('ACTIVE'),
      secret: Secret,
    })
    .meta({
      id: 'NewWebhook',
      example: {
        name: 'pager',
        url: 'https://hooks.example.com/cairn',
        events: ['endpoint.rolled-back', 'alias.moved'],
      },
    }),
  idempotency: 'refused',
  answers: {
    201: {
      description:
        'The webhook; with a secret that was made because none was given, the only time that it is seen.',
      schema: later(() => Webhook().extend({ secret: z.string().optional() }).meta({ id: 'MadeWebhook' })),
      headers: { ...ETAG, Location: 'Where it is.' },
    },
  },
  errors: ['WORKSPACE_NOT_FOUND', 'NOT_SUPPORTED'],
} satisfies Contract;

export const getWebhook = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/webhooks/{webhook}`,
  operationId: 'getWebhook',
  tag: 'webhooks',
  summary: 'Get a webhook',
  params: WebhookParams,
  answers: { 200: { description: 'The webhook.', schema: Webhook, headers: ETAG } },
  errors: ['WEBHOOK_NOT_FOUND', 'NOT_SUPPORTED'],
} satisfies Contract;

export const updateWebhook = {
  method: 'patch',
  path: `${API}/workspaces/{workspace}/webhooks/{webhook}`,
  operationId: 'updateWebhook',
  tag: 'webhooks',
  summary: 'Change a webhook, pause it, or give it another secret',
  description: 'What is not named stays. `events` replaces all of them.',
  params: WebhookParams,
  body: z
    .strictObject({
      name: WebhookName.optional(),
      description: Description.optional(),
      url: Url.optional(),
      events: Events.optional(),
      status: Status.optional(),
      secret: Secret,
      reason: Reason,
    })
    .meta({ id: 'WebhookPatch', example: { status: 'DISABLED', reason: 'The receiver moves' } }),
  ifMatch: true,
  answers: { 200: { description: 'The webhook as it is now.', schema: Webhook, headers: ETAG } },
  errors: ['WEBHOOK_NOT_FOUND', 'PRECONDITION_FAILED', 'NOT_SUPPORTED'],
} satisfies Contract;

export const deleteWebhook = {
  method: 'delete',
  path: `${API}/workspaces/{workspace}/webhooks/{webhook}`,
  operationId: 'deleteWebhook',
  tag: 'webhooks',
  summary: 'Delete a webhook',
  description: 'What it was to be told is not told any more.',
  params: WebhookParams,
  query: z.strictObject({ reason: Reason }),
  ifMatch: true,
  answers: { 204: { description: 'It is deleted.' } },
  errors: ['WEBHOOK_NOT_FOUND', 'PRECONDITION_FAILED', 'NOT_SUPPORTED'],
} satisfies Contract;

export const testWebhook = {
  method: 'post',
  path: `${API}/workspaces/{workspace}/webhooks/{webhook}/test`,
  operationId: 'testWebhook',
  tag: 'webhooks',
  summary: 'Post a test to a webhook now, once, also when it is paused',
  description:
    'The event `webhook.test`, signed like any; a webhook with none of Cairn’s events gets MLflow’s example of its first.',
  params: WebhookParams,
  answers: {
    200: {
      description: 'How it went.',
      schema: later(() =>
        z
          .strictObject({
            delivered: z.boolean(),
            status: z.int().optional().meta({ description: 'The HTTP status that it answered.' }),
            body: z.string().optional().meta({ description: 'The beginning of its answer.' }),
            error: z.string().optional().meta({ description: 'Why there is no answer.' }),
          })
          .meta({ id: 'WebhookTest' }),
      ),
    },
  },
  errors: ['WEBHOOK_NOT_FOUND', 'NOT_SUPPORTED'],
} satisfies Contract;

export const listDeliveries = {
  method: 'get',
  path: `${API}/workspaces/{workspace}/webhooks/{webhook}/deliveries`,
  operationId: 'listWebhookDeliveries',
  tag: 'webhooks',
  summary: 'List how a webhook’s newest deliveries went',
  description: 'The 20 that were tried last. What has not been tried yet is not among them.',
  params: WebhookParams,
  answers: {
    200: {
      description: 'Deliveries, those tried last first.',
      schema: later(() =>
        z.strictObject({
          items: z.array(
            z
              .strictObject({
                id: z.string().meta({ description: 'What the receiver sees in `webhook-id`.' }),
                event: z.string(),
                at: Time.meta({ description: 'When it happened.' }),
                state: z.enum(['DELIVERED', 'WAITING', 'FAILED']),
                attempts: z.int(),
                lastAttemptAt: Time,
                why: z.string().optional().meta({ description: 'Why it was not taken.' }),
                nextAttemptAt: Time.optional(),
              })
              .meta({ id: 'WebhookDelivery' }),
          ),
        }),
      ),
    },
  },
  errors: ['WEBHOOK_NOT_FOUND', 'NOT_SUPPORTED'],
} satisfies Contract;
