import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import { type ListPage, listPage, type PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import type { Key, Table } from '../ports/table.ts';
import { getWorkspace } from '../registry/workspace.ts';
import type { WebhookEvent } from './event.ts';

/** An address that is told what happens in a workspace's registry. */
export interface Webhook {
  readonly format: 1;
  readonly id: string;
  readonly workspace: string;
  readonly name: string;
  readonly description: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly status: WebhookStatus;
  /** What deliveries are signed with: readable only with the service's keys, and never shown. */
  readonly secret?: SealedSecret | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export type WebhookStatus = 'ACTIVE' | 'DISABLED';

/** AES-256-GCM under a data key of its own; all base64. */
interface SealedSecret {
  readonly key: string;
  readonly iv: string;
  readonly bytes: string;
}

/** What can be said of a webhook. An empty secret takes it away. */
export interface WebhookInput {
  readonly name: string;
  readonly description: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly status: WebhookStatus;
  readonly secret?: string | undefined;
}

/** Each event of a workspace looks at all of them. */
const WEBHOOKS_MAX = 100;

const partition = (workspace: string) => `webhooks/${workspace}`;
const webhookKey = (workspace: string, id: string): Key => ({ pk: partition(workspace), sk: id });
const chainOf = (id: string) => `webhook/${id}`;

/** Only admins of the workspace: a webhook tells what happens to all its models. @throws CairnError `TOO_LARGE` */
export async function createWebhook(
  ports: Ports,
  caller: Caller,
  workspace: string,
  { secret, ...input }: WebhookInput,
): Promise<Webhook> {
  authorize(caller, 'admin', { workspace });
  await getWorkspace(ports, workspace);
  const now = ports.clock.now();
  const webhook: Webhook = {
    format: 1,
    id: uuidv7(),
    workspace,
    ...input,
    ...(secret ? { secret: await seal(ports, secret) } : {}),
    createdAt: now,
    updatedAt: now,
  };
  return exclusively(partition(workspace), async () => {
    const { items } = await ports.table.query({ pk: partition(workspace), limit: WEBHOOKS_MAX });
    if (items.length === WEBHOOKS_MAX)
      throw new CairnError('INVALID_ARGUMENT', `A workspace has at most ${WEBHOOKS_MAX} webhooks.`);
    await commit(ports, caller, { ...changeOf(webhook, 'webhook.created'), after: shown(webhook) }, [
      { put: { ...webhookKey(workspace, webhook.id), body: webhook }, if: 'absent' },
    ]);
    return webhook;
  });
}

/** @throws CairnError `WEBHOOK_NOT_FOUND` */
export async function getWebhook(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  workspace: string,
  id: string,
): Promise<Webhook> {
  authorize(caller, 'admin', { workspace });
  return (await findWebhook(ports.table, workspace, id)).webhook;
}

export async function listWebhooks(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  workspace: string,
  page: PageRequest,
): Promise<ListPage<Webhook>> {
  authorize(caller, 'admin', { workspace });
  const found = await ports.table.query({ pk: partition(workspace), ...page });
  return listPage(found, ({ body }) => body as Webhook);
}

/** @throws CairnError `WEBHOOK_NOT_FOUND` */
export async function updateWebhook(
  ports: Ports,
  caller: Caller,
  workspace: string,
  id: string,
  { secret, ...patch }: Partial<WebhookInput>,
): Promise<Webhook> {
  authorize(caller, 'admin', { workspace });
  const sealed = secret ? await seal(ports, secret) : undefined;
  return exclusively(chainOf(id), async () => {
    const { webhook, rev } = await findWebhook(ports.table, workspace, id);
    const { secret: known, ...before } = webhook;
    const kept = secret === undefined ? known : sealed;
    const after: Webhook = {
      ...before,
      ...patch,
      ...(kept === undefined ? {} : { secret: kept }),
      updatedAt: ports.clock.now(),
    };
    const change = { ...changeOf(after, 'webhook.updated'), before: shown(webhook), after: shown(after) };
    await commit(ports, caller, change, [
      { put: { ...webhookKey(workspace, id), body: after }, if: { rev } },
    ]);
    return after;
  });
}

/** @throws CairnError `WEBHOOK_NOT_FOUND` */
export async function deleteWebhook(
  ports: Ports,
  caller: Caller,
  workspace: string,
  id: string,
): Promise<void> {
  authorize(caller, 'admin', { workspace });
  await exclusively(chainOf(id), async () => {
    const { webhook, rev } = await findWebhook(ports.table, workspace, id);
    await commit(ports, caller, { ...changeOf(webhook, 'webhook.deleted'), before: shown(webhook) }, [
      { delete: webhookKey(workspace, id), if: { rev } },
    ]);
  });
}

/** The webhooks of a workspace, for the one that delivers. */
export async function webhooksOf(table: Table, workspace: string): Promise<Webhook[]> {
  const items = await Array.fromAsync(itemsOf(table, partition(workspace), ''));
  return items.map(({ body }) => body as Webhook);
}

/** Of a webhook that is still there. @throws CairnError `WEBHOOK_NOT_FOUND` */
export async function findWebhook(
  table: Table,
  workspace: string,
  id: string,
): Promise<{ webhook: Webhook; rev: number }> {
  const item = await table.get(webhookKey(workspace, id));
  if (item) return { webhook: item.body as Webhook, rev: item.rev };
  throw new CairnError('WEBHOOK_NOT_FOUND', `There is no webhook ${id}.`, 'webhook_id');
}

/** What deliveries are signed with, if anything. */
export async function secretOf(ports: Pick<Ports, 'keys'>, { secret }: Webhook): Promise<string | undefined> {
  if (secret === undefined) return undefined;
  const key = await ports.keys.unwrapDataKey(Buffer.from(secret.key, 'base64'));
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(secret.iv, 'base64'), {
    authTagLength: TAG_BYTES,
  });
  const bytes = Buffer.from(secret.bytes, 'base64');
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  return Buffer.concat([decipher.update(bytes.subarray(0, -TAG_BYTES)), decipher.final()]).toString();
}

const IV_BYTES = 12;
const TAG_BYTES = 16;

async function seal({ keys }: Pick<Ports, 'keys'>, secret: string): Promise<SealedSecret> {
  const { plain, wrapped } = await keys.generateDataKey();
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', plain, iv);
  const bytes = Buffer.concat([cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]);
  return {
    key: Buffer.from(wrapped).toString('base64'),
    iv: iv.toString('base64'),
    bytes: bytes.toString('base64'),
  };
}

/** The audit trail tells whether there is a secret, no more. */
const shown = ({ secret, ...webhook }: Webhook) => ({ ...webhook, signed: secret !== undefined });

const changeOf = ({ id, workspace, name }: Webhook, action: string) => ({
  chain: chainOf(id),
  workspace,
  action,
  subject: name,
});
