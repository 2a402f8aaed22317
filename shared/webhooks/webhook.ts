import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { uuidv7 } from 'uuidv7';
import * as z from 'zod';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { type Followed, followedKey } from '../audit/followed.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import { type ListPage, listPage, type PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import type { Key, Op, Table } from '../ports/table.ts';
import { WORKSPACES } from '../registry/keys.ts';
import { preconditionFailed } from '../registry/model.ts';
import { getWorkspace } from '../registry/workspace.ts';
import { deliveriesKey } from './deliveries.ts';
import type { Subscription } from './event-name.ts';
import { actionOf } from './notices.ts';

/** An address that is told what happens to a workspace's models and endpoints. */
export interface Webhook extends Subscription {
  readonly format: 1;
  readonly id: string;
  readonly workspace: string;
  readonly name: string;
  readonly description: string;
  readonly url: string;
  readonly status: WebhookStatus;
  /** What deliveries are signed with: readable only with the service's keys, and never shown. */
  readonly secret?: SealedSecret | undefined;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export type StoredWebhook = Webhook & { readonly rev: number };

export const WebhookName = z
  .string()
  .regex(
    /^(?=.{1,63}$)[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/i,
    'must begin and end with a letter or digit, and have at most 63 of letters, digits, ".", "_" and "-"',
  );
export const WebhookUrl = z
  .string()
  .min(1)
  .max(500)
  .regex(/^[^\s\p{C}]*$/u, 'must have no spaces and no control characters');
export const WebhookStatus = z.enum(['ACTIVE', 'DISABLED']);
export type WebhookStatus = z.infer<typeof WebhookStatus>;

/** AES-256-GCM under a data key of its own; all base64. */
interface SealedSecret {
  readonly key: string;
  readonly iv: string;
  readonly bytes: string;
}

/** What can be said of a webhook. An empty secret takes it away. */
export interface WebhookInput extends Subscription {
  readonly name: string;
  readonly description: string;
  readonly url: string;
  readonly status: WebhookStatus;
  readonly secret?: string | undefined;
}

/** Which revision is to be changed, and why. */
interface ChangeOptions {
  readonly ifMatch?: number | undefined;
  readonly reason?: string | undefined;
}

/** Each event of a workspace looks at all of them. */
const WEBHOOKS_MAX = 100;

const partition = (workspace: string) => `webhooks/${workspace}`;
export const webhookKey = (workspace: string, id: string): Key => ({ pk: partition(workspace), sk: id });
const chainOf = (id: string) => `webhook/${id}`;

/** Only admins of the workspace: a webhook tells what happens to all its models. @throws CairnError `INVALID_ARGUMENT` for one too many */
export async function createWebhook(
  ports: Ports,
  caller: Caller,
  workspace: string,
  { secret, ...input }: WebhookInput,
): Promise<StoredWebhook> {
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
    const followed = await followedOp(ports.table, workspace, (others) => [...others, webhook]);
    await commit(ports, caller, { ...changeOf(webhook, 'webhook.created'), after: shown(webhook) }, [
      { put: { ...webhookKey(workspace, webhook.id), body: webhook }, if: 'absent' },
      followed,
    ]);
    return { ...webhook, rev: 1 };
  });
}

/** @throws CairnError `WEBHOOK_NOT_FOUND` */
export async function getWebhook(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  workspace: string,
  id: string,
): Promise<StoredWebhook> {
  authorize(caller, 'admin', { workspace });
  const { webhook, rev } = await findWebhook(ports.table, workspace, id);
  return { ...webhook, rev };
}

export async function listWebhooks(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  workspace: string,
  page: PageRequest,
): Promise<ListPage<Webhook>> {
  authorize(caller, 'admin', { workspace });
  await getWorkspace(ports, workspace);
  const found = await ports.table.query({ pk: partition(workspace), ...page });
  return listPage(found, ({ body }) => body as Webhook);
}

/** @throws CairnError `WEBHOOK_NOT_FOUND`; `PRECONDITION_FAILED` if `ifMatch` is not its revision */
export async function updateWebhook(
  ports: Ports,
  caller: Caller,
  workspace: string,
  id: string,
  { secret, ...patch }: Partial<WebhookInput>,
  { ifMatch, reason }: ChangeOptions = {},
): Promise<StoredWebhook> {
  authorize(caller, 'admin', { workspace });
  const sealed = secret ? await seal(ports, secret) : undefined;
  return exclusively(partition(workspace), async () => {
    const { webhook, rev } = await findWebhook(ports.table, workspace, id, ifMatch);
    const { secret: known, ...before } = webhook;
    const kept = secret === undefined ? known : sealed;
    const after: Webhook = {
      ...before,
      ...patch,
      ...(kept === undefined ? {} : { secret: kept }),
      updatedAt: ports.clock.now(),
    };
    const change = {
      ...changeOf(after, 'webhook.updated'),
      reason,
      before: shown(webhook),
      after: shown(after),
    };
    await commit(ports, caller, change, [
      { put: { ...webhookKey(workspace, id), body: after }, if: { rev } },
      await followedOp(ports.table, workspace, (all) => all.map((one) => (one.id === id ? after : one))),
    ]);
    return { ...after, rev: rev + 1 };
  });
}

/** @throws CairnError `WEBHOOK_NOT_FOUND`; `PRECONDITION_FAILED` if `ifMatch` is not its revision */
export async function deleteWebhook(
  ports: Ports,
  caller: Caller,
  workspace: string,
  id: string,
  { ifMatch, reason }: ChangeOptions = {},
): Promise<void> {
  authorize(caller, 'admin', { workspace });
  await exclusively(partition(workspace), async () => {
    const { webhook, rev } = await findWebhook(ports.table, workspace, id, ifMatch);
    await commit(ports, caller, { ...changeOf(webhook, 'webhook.deleted'), reason, before: shown(webhook) }, [
      { delete: webhookKey(workspace, id), if: { rev } },
      { delete: deliveriesKey(workspace, id), if: 'any' },
      await followedOp(ports.table, workspace, (all) => all.filter((one) => one.id !== id)),
    ]);
  });
}

/**
 * The operation that says anew which actions a workspace's webhooks want: one item, which every change of a model reads.
 * Its condition keeps two writers from counting each other out.
 */
async function followedOp(
  table: Table,
  workspace: string,
  change: (webhooks: Webhook[]) => Webhook[],
): Promise<Op> {
  const key = followedKey(workspace);
  const before = await table.get(key);
  const webhooks = change(await webhooksOf(table, workspace));
  if (webhooks.length > WEBHOOKS_MAX)
    throw new CairnError('INVALID_ARGUMENT', `A workspace has at most ${WEBHOOKS_MAX} webhooks.`);
  const active = webhooks.filter(({ status }) => status === 'ACTIVE');
  const wanted = active.flatMap(({ events, actions = [] }) => [...events.map(actionOf), ...actions]);
  const actions = [...new Set(wanted)].sort();
  if (actions.length === 0)
    return before ? { delete: key, if: { rev: before.rev } } : { check: key, if: 'absent' };
  const body: Followed = { actions };
  return { put: { ...key, body }, if: before ? { rev: before.rev } : 'absent' };
}

/** Says it for the workspaces where nobody has: webhooks of earlier layouts were looked for at every event. */
export async function followAll({ table }: Pick<Ports, 'table'>): Promise<void> {
  for await (const { sk: workspace } of itemsOf(table, WORKSPACES)) {
    if (await table.get(followedKey(workspace))) continue;
    if ((await webhooksOf(table, workspace)).length === 0) continue;
    await exclusively(partition(workspace), async () =>
      table.transact([await followedOp(table, workspace, (webhooks) => webhooks)]),
    );
  }
}

/** The webhooks of a workspace, for the one that delivers. */
export async function webhooksOf(table: Table, workspace: string): Promise<Webhook[]> {
  const items = await Array.fromAsync(itemsOf(table, partition(workspace), ''));
  return items.map(({ body }) => body as Webhook);
}

/** Of a webhook that is still there. @throws CairnError `WEBHOOK_NOT_FOUND`; `PRECONDITION_FAILED` for another revision */
export async function findWebhook(
  table: Table,
  workspace: string,
  id: string,
  ifMatch?: number,
): Promise<{ webhook: Webhook; rev: number }> {
  const item = await table.get(webhookKey(workspace, id));
  if (!item) throw webhookNotFound(id);
  if (ifMatch !== undefined && ifMatch !== item.rev) throw preconditionFailed((item.body as Webhook).name);
  return { webhook: item.body as Webhook, rev: item.rev };
}

const webhookNotFound = (id: string) =>
  new CairnError('WEBHOOK_NOT_FOUND', `There is no webhook ${id}.`, 'webhook');

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

/** The audit trail, which viewers read, tells whether there is a secret; and of the address, which may be one, where it leads and whether it changed. */
const shown = ({ secret, url, ...webhook }: Webhook) => ({
  ...webhook,
  host: URL.parse(url)?.host ?? '',
  urlSha256: createHash('sha256').update(url).digest('hex').slice(0, 16),
  signed: secret !== undefined,
});

const changeOf = ({ id, workspace, name }: Webhook, action: string) => ({
  chain: chainOf(id),
  workspace,
  action,
  subject: name,
});
