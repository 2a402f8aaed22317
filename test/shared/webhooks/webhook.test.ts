import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemCaller } from '../../../shared/access/caller.ts';
import { commit } from '../../../shared/audit/commit.ts';
import type { Table } from '../../../shared/ports/table.ts';
import { WebhookRefused, type WebhookSender } from '../../../shared/ports/webhook-sender.ts';
import { deleteModel } from '../../../shared/registry/delete-model.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { deliveriesOf } from '../../../shared/webhooks/deliveries.ts';
import { attempt, type Delivery, outbox, spread } from '../../../shared/webhooks/outbox.ts';
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

const MODEL = { workspace: 'default', name: 'told', description: '', tags: {} };
const waiting = () => Array.fromAsync(outbox(api.ports.table));

/** The one delivery that what happened has become. */
async function delivery(): Promise<Delivery> {
  const [event] = await waiting();
  if (event?.kind !== 'event') throw new Error('no event is in the outbox');
  const [made] = await spread(api.ports, event.id, event.event);
  if (!made) throw new Error('nobody wants it');
  return made;
}

test('a change and its entry in the outbox are one transaction: a process may end right after it', async () => {
  await createWebhook(api.ports, ADMIN, 'default', INPUT);
  const killed = () => Promise.reject(new Error('kill -9'));
  const ports = { ...api.ports, bus: { publish: killed } };
  await expect(createModel(ports, ADMIN, MODEL)).rejects.toThrow('kill -9');
  expect(await waiting()).toMatchObject([{ kind: 'event' }]);
  expect((await delivery()).notice).toMatchObject({ event: INPUT.events[0], data: { name: 'told' } });
});

test('a change that fails puts nothing into the outbox', async () => {
  await createWebhook(api.ports, ADMIN, 'default', INPUT);
  await createModel(api.ports, ADMIN, MODEL);
  await expect(createModel(api.ports, ADMIN, MODEL)).rejects.toThrow('MODEL_EXISTS');
  expect(await waiting()).toHaveLength(1);
});

test('without webhooks that want it, a change writes nothing more and reads in as many calls', async () => {
  const calls: string[] = [];
  const written: number[] = [];
  const table: Table = {
    ...api.ports.table,
    get: (key) => {
      calls.push('get');
      return api.ports.table.get(key);
    },
    getMany: (keys) => {
      calls.push('getMany');
      return api.ports.table.getMany(keys);
    },
    transact: (ops) => {
      written.push(ops.length);
      return api.ports.table.transact(ops);
    },
  };
  const ports = { ...api.ports, table };
  const change = { chain: 'model/1', workspace: 'default', action: 'model.created', subject: 'x' };
  await commit(ports, ADMIN, change, []);
  const { id } = await createWebhook(api.ports, ADMIN, 'default', {
    ...INPUT,
    events: [{ entity: 'MODEL_VERSION', action: 'CREATED' }],
  });
  await commit(ports, ADMIN, { ...change, chain: 'model/2' }, []);
  expect(calls).toEqual(['getMany', 'getMany']);
  expect(written).toEqual([4, 4]);
  await updateWebhook(api.ports, ADMIN, 'default', id, { events: INPUT.events });
  await commit(ports, ADMIN, { ...change, chain: 'model/3' }, []);
  await updateWebhook(api.ports, ADMIN, 'default', id, { status: 'DISABLED' });
  await commit(ports, ADMIN, { ...change, chain: 'model/4' }, []);
  await updateWebhook(api.ports, ADMIN, 'default', id, { status: 'ACTIVE' });
  await commit(ports, ADMIN, { ...change, chain: 'model/5' }, []);
  await deleteWebhook(api.ports, ADMIN, 'default', id);
  await commit(ports, ADMIN, { ...change, chain: 'model/6' }, []);
  expect(written.slice(2)).toEqual([5, 4, 5, 4]);
});

test('spreading an event that was broken off makes the same deliveries, each once', async () => {
  await createWebhook(api.ports, ADMIN, 'default', INPUT);
  await createWebhook(api.ports, ADMIN, 'default', { ...INPUT, name: 'too' });
  await createModel(api.ports, ADMIN, MODEL);
  const [event] = await waiting();
  if (event?.kind !== 'event') throw new Error('no event is in the outbox');
  const broken = spread(api.ports, event.id, event.event, () => Promise.reject(new Error('kill -9')));
  await expect(broken).rejects.toThrow('kill -9');
  expect((await waiting()).map(({ kind }) => kind).sort()).toEqual(['delivery', 'delivery', 'event']);
  const made = await spread(api.ports, event.id, event.event);
  expect((await waiting()).map(({ id }) => id).sort()).toEqual(made.map(({ id }) => id).sort());
});

test('what happened waits in the outbox until it was delivered, or never will be', async () => {
  const { ports } = api;
  const { id } = await createWebhook(ports, ADMIN, 'default', INPUT);
  const tried = async (sender: WebhookSender, name: string) => {
    await createModel(ports, ADMIN, { ...MODEL, name });
    return attempt(ports, sender, await delivery());
  };
  expect(await tried(answering(404), 'a')).toMatchObject({ outcome: 'given up' });
  const post = () => Promise.reject(new WebhookRefused('inside'));
  expect(await tried({ ...answering(200), post }, 'b')).toEqual({ outcome: 'given up', why: 'inside' });
  expect(await tried(answering(200), 'c')).toEqual({ outcome: 'delivered' });
  expect(await waiting()).toEqual([]);
  await createModel(ports, ADMIN, { ...MODEL, name: 'd' });
  const late = await delivery();
  await deleteWebhook(ports, ADMIN, 'default', id);
  expect(await attempt(ports, answering(200), late)).toMatchObject({ outcome: 'given up' });
  expect(await waiting()).toEqual([]);
});

test('what is not taken is tried for a day, later each time, and what another process told stays told', async () => {
  const { ports } = api;
  await createWebhook(ports, ADMIN, 'default', INPUT);
  await createModel(ports, ADMIN, MODEL);
  const pauses: number[] = [];
  const began = ports.clock.now();
  let result = await attempt(ports, answering(503), await delivery());
  while (result.outcome === 'again') {
    pauses.push(result.delivery.due - ports.clock.now());
    expect(await waiting()).toMatchObject([{ delivery: { attempts: pauses.length } }]);
    ports.clock.advance(pauses.at(-1) ?? 0);
    result = await attempt(ports, answering(503), result.delivery);
  }
  expect(pauses.slice(0, 11)).toEqual([...Array.from({ length: 10 }, (_, at) => 1000 * 2 ** at), 900_000]);
  expect(new Set(pauses.slice(10))).toEqual(new Set([900_000]));
  const hours = (ports.clock.now() - began) / 3_600_000;
  expect(hours).toBeGreaterThan(23.7);
  expect(hours).toBeLessThan(24);
  expect(result).toEqual({ outcome: 'given up', why: 'it answered 503' });
  expect(await waiting()).toEqual([]);

  await createModel(ports, ADMIN, { ...MODEL, name: 'again' });
  const twice = await delivery();
  await attempt(ports, answering(200), twice);
  expect(await attempt(ports, answering(503), twice)).toMatchObject({ outcome: 'given up' });
  expect(await waiting()).toEqual([]);
});

test('how the newest deliveries went is kept, each once, and goes with the webhook', async () => {
  const { ports } = api;
  const { id } = await createWebhook(ports, ADMIN, 'default', INPUT);
  const newest = () => deliveriesOf(ports.table, 'default', id);
  for (let index = 0; index < 22; index++) {
    await createModel(ports, ADMIN, { ...MODEL, name: `m${index}` });
    await attempt(ports, answering(200), await delivery());
  }
  expect(await newest()).toHaveLength(20);
  await createModel(ports, ADMIN, { ...MODEL, name: 'late' });
  const first = await attempt(ports, answering(503), await delivery());
  if (first.outcome !== 'again') throw new Error('it is not tried again');
  expect((await newest())[0]).toMatchObject({ state: 'WAITING', due: first.delivery.due });
  await attempt(ports, answering(200), first.delivery);
  const [last, before] = await newest();
  expect(last).toMatchObject({ event: 'registered_model.created', state: 'DELIVERED', attempts: 2 });
  expect(before?.id).not.toBe(last?.id);
  expect(last).not.toHaveProperty('why');

  await createModel(ports, ADMIN, { ...MODEL, name: 'meanwhile' });
  const gone = await delivery();
  const deleting: WebhookSender = {
    check: () => undefined,
    post: async () => {
      await deleteWebhook(ports, ADMIN, 'default', id);
      return { status: 200, body: '' };
    },
  };
  expect(await attempt(ports, deleting, gone)).toEqual({ outcome: 'delivered' });
  expect(await newest()).toEqual([]);
});

test('a model that was deleted is told of in Cairn’s format', async () => {
  const { ports } = api;
  await createWebhook(ports, ADMIN, 'default', { ...INPUT, events: [], actions: ['model.deleted'] });
  await createModel(ports, ADMIN, MODEL);
  await deleteModel(ports, ADMIN, { workspace: 'default', name: MODEL.name });
  expect((await delivery()).notice).toMatchObject({
    type: 'model.deleted',
    payload: { data: { subject: 'told' } },
  });
});
