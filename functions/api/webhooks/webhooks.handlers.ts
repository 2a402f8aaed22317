import { CairnError } from '../../../shared/errors.ts';
import { type DeliveryRecord, deliveriesOf } from '../../../shared/webhooks/deliveries.ts';
import { deliver } from '../../../shared/webhooks/delivery.ts';
import { exampleOf } from '../../../shared/webhooks/event.ts';
import { namesOf, subscriptionOf } from '../../../shared/webhooks/event-name.ts';
import { type Notice, testNotice } from '../../../shared/webhooks/notice.ts';
import { newSecret } from '../../../shared/webhooks/secret.ts';
import {
  createWebhook,
  deleteWebhook,
  getWebhook,
  listWebhooks,
  updateWebhook,
  type Webhook,
} from '../../../shared/webhooks/webhook.ts';
import { apiPath, created, NO_CONTENT, ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { etagOf } from '../etag.ts';
import { pageJson } from '../page.ts';
import { rfc3339 } from '../time.ts';
import * as routes from './webhooks.routes.ts';

export function registerWebhooks(register: Register, { ports, webhooks }: ApiDeps): void {
  /** @throws CairnError `NOT_SUPPORTED` where nobody would deliver */
  const sender = () => {
    if (webhooks) return webhooks;
    throw new CairnError('NOT_SUPPORTED', 'This installation has no webhooks.');
  };

  register(routes.listWebhooks, async ({ params, query }, { caller }) => {
    sender();
    const page = { limit: query.limit, after: query.cursor };
    return ok(pageJson(await listWebhooks(ports, caller, params.workspace, page), webhookJson));
  });

  register(routes.createWebhook, async ({ params, body }, { caller }) => {
    const { events, url, ...input } = body;
    sender().check(url);
    const secret = input.secret ?? newSecret();
    const webhook = await createWebhook(ports, caller, params.workspace, {
      ...input,
      url,
      ...subscriptionOf(events),
      secret,
    });
    const shown = input.secret === undefined ? { secret } : {};
    return created(
      { ...webhookJson(webhook), ...shown },
      apiPath('workspaces', params.workspace, 'webhooks', webhook.id),
      { etag: etagOf(webhook.rev), 'cache-control': 'no-store' },
    );
  });

  register(routes.getWebhook, async ({ params }, { caller }) => {
    sender();
    const webhook = await getWebhook(ports, caller, params.workspace, params.webhook);
    return ok(webhookJson(webhook), { etag: etagOf(webhook.rev) });
  });

  register(routes.updateWebhook, async ({ params, body, ifMatch }, { caller }) => {
    const { events, reason, ...given } = body;
    if (given.url === undefined) sender();
    else sender().check(given.url);
    const set = Object.entries(given).filter(([, value]) => value !== undefined);
    const patch = { ...Object.fromEntries(set), ...(events && subscriptionOf(events)) };
    const options = { reason, ifMatch: ifMatch === '*' ? undefined : ifMatch };
    const webhook = await updateWebhook(ports, caller, params.workspace, params.webhook, patch, options);
    return ok(webhookJson(webhook), { etag: etagOf(webhook.rev) });
  });

  register(routes.deleteWebhook, async ({ params, query, ifMatch }, { caller }) => {
    sender();
    const options = { reason: query.reason, ifMatch: ifMatch === '*' ? undefined : ifMatch };
    await deleteWebhook(ports, caller, params.workspace, params.webhook, options);
    return NO_CONTENT;
  });

  register(routes.testWebhook, async ({ params }, { caller }) => {
    const to = sender();
    const webhook = await getWebhook(ports, caller, params.workspace, params.webhook);
    try {
      const { status, body } = await deliver(ports, to, webhook, testOf(webhook, ports.clock.now()));
      return ok({ delivered: status < 300, status, body });
    } catch (error) {
      return ok({ delivered: false, error: (error as Error).message });
    }
  });

  register(routes.listDeliveries, async ({ params }, { caller }) => {
    sender();
    const { id, workspace } = await getWebhook(ports, caller, params.workspace, params.webhook);
    return ok({ items: (await deliveriesOf(ports.table, workspace, id)).map(deliveryJson) });
  });
}

/** In the format that its receiver knows. */
function testOf(webhook: Webhook, now: number): Notice {
  const [first] = webhook.events;
  return first && !webhook.actions?.length ? exampleOf(first) : testNotice(webhook, now);
}

const webhookJson = (webhook: Webhook) => ({
  id: webhook.id,
  workspace: webhook.workspace,
  name: webhook.name,
  description: webhook.description,
  url: webhook.url,
  events: namesOf(webhook),
  status: webhook.status,
  signed: webhook.secret !== undefined,
  createdAt: rfc3339(webhook.createdAt),
  updatedAt: rfc3339(webhook.updatedAt),
});

const deliveryJson = ({ at, lastAttemptAt, due, ...record }: DeliveryRecord) => ({
  ...record,
  at: rfc3339(at),
  lastAttemptAt: rfc3339(lastAttemptAt),
  nextAttemptAt: due === undefined ? undefined : rfc3339(due),
});
