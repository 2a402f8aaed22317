import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemCaller } from '../../../shared/access/caller.ts';
import type { DomainEvent } from '../../../shared/ports/event-bus.ts';
import { WebhookRefused, type WebhookSender } from '../../../shared/ports/webhook-sender.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { attempt, outbox, putInOutbox, removeFromOutbox } from '../../../shared/webhooks/outbox.ts';
import {
  createWebhook,
  deleteWebhook,
  getWebhook,
  secretOf,
  updateWebhook,
  type WebhookInput,
} from '../../../shared/webhooks/webhook.ts';
import { type Api, openApi } from '../../functions/api/api-fixture.ts';

const ADMIN = systemCaller('test', 'test');
const INPUT: WebhookInput = {
  name: 'tell',
  description: '',
  url: 'https://example.com/',
  events: [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }],
  status: 'ACTIVE',
  secret: 'a-well-kept-secret',
};

let api: Api;
beforeEach(async () => {
  api = await openApi();
});
afterEach(() => api.close());

const answering = (status: number): WebhookSender => ({
  check: () => undefined,
  post: async () => ({ status, body: '' }),
});

test('a secret is kept sealed, is in no audit event, and goes with an empty one', async () => {
  const { ports } = api;
  const made = await createWebhook(ports, ADMIN, 'default', INPUT);
  expect(JSON.stringify(await getWebhook(ports, ADMIN, 'default', made.id))).not.toContain(INPUT.secret);
  expect(await secretOf(ports, made)).toBe(INPUT.secret);
  const renamed = await updateWebhook(ports, ADMIN, 'default', made.id, { name: 'other' });
  expect(await secretOf(ports, renamed)).toBe(INPUT.secret);
  const open = await updateWebhook(ports, ADMIN, 'default', made.id, { secret: '' });
  expect(await secretOf(ports, open)).toBeUndefined();
  const { items } = await ports.table.query({ pk: `webhook/${made.id}`, limit: 100 });
  const trail = JSON.stringify(items);
  expect(trail).toContain('"signed":true');
  expect(trail).not.toMatch(/a-well-kept-secret|"bytes"/);
});

test('only an admin of the workspace sees or changes its webhooks', async () => {
  const { ports } = api;
  const deployer = { ...ADMIN, grants: [{ role: 'deployer' as const, workspace: '*', models: '*' }] };
  await expect(createWebhook(ports, deployer, 'default', INPUT)).rejects.toThrow('PERMISSION_DENIED');
  const { id } = await createWebhook(ports, ADMIN, 'default', INPUT);
  await expect(getWebhook(ports, deployer, 'default', id)).rejects.toThrow('PERMISSION_DENIED');
  await expect(getWebhook(ports, ADMIN, 'other', id)).rejects.toThrow('WEBHOOK_NOT_FOUND');
});

test('what happened waits in the outbox until it was delivered, or never will be', async () => {
  const events: DomainEvent[] = [];
  const ports = { ...api.ports, bus: { publish: async (event: DomainEvent) => void events.push(event) } };
  const { id } = await createWebhook(ports, ADMIN, 'default', INPUT);
  await createModel(ports, ADMIN, { workspace: 'default', name: 'told', description: '', tags: {} });
  for (const event of events) await putInOutbox(ports, event);
  const [delivery] = await outbox(ports.table);
  if (!delivery) throw new Error('nothing is in the outbox');
  expect(delivery.notice.data).toMatchObject({ name: 'told' });
  expect(await attempt(ports, answering(503), delivery)).toMatchObject({ outcome: 'again' });
  expect(await attempt(ports, answering(404), delivery)).toMatchObject({ outcome: 'given up' });
  const post = () => Promise.reject(new WebhookRefused('inside'));
  const refusing = { ...answering(200), post };
  expect(await attempt(ports, refusing, delivery)).toEqual({ outcome: 'given up', why: 'inside' });
  expect(await attempt(ports, answering(200), delivery)).toEqual({ outcome: 'delivered' });
  await deleteWebhook(ports, ADMIN, 'default', id);
  expect(await attempt(ports, answering(200), delivery)).toMatchObject({ outcome: 'given up' });
  await removeFromOutbox(ports.table, delivery);
  expect(await outbox(ports.table)).toEqual([]);
});
