import { pino } from 'pino';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startWebhooks } from '../../../functions/local/webhooks.ts';
import { type InProcessBus, openInProcessBus } from '../../../shared/adapters/local/in-process-bus.ts';
import { webhookSender } from '../../../shared/adapters/webhook-sender.ts';
import { CAIRN_EVENTS } from '../../../shared/webhooks/event-name.ts';
import { openReceiver, type Receiver } from '../../support/receiver.ts';
import { type Api, everything, onnxFile, openApi, V1 } from './api-fixture.ts';

const HOOKS = `${V1}/webhooks`;
const MLFLOW = '/api/2.0/mlflow/webhooks';

let api: Api;
let bus: InProcessBus;
let receiver: Receiver;
let delivering: { close(): Promise<void> };

beforeEach(async () => {
  receiver = await openReceiver();
  bus = openInProcessBus(() => undefined);
  const sender = webhookSender({ inside: true });
  api = await openApi((deps) => ({ ...deps, ports: { ...deps.ports, bus }, webhooks: sender }));
  // The receiver's library looks at the real time.
  api.ports.clock.advance(Date.now() - api.ports.clock.now());
  delivering = await startWebhooks(api.ports, bus, sender, pino({ level: 'silent' }));
});
afterEach(async () => {
  await delivering.close();
  await api.close();
  await receiver.close();
});

const make = async (events: readonly string[], more: object = {}) =>
  (await api.call('POST', HOOKS, { body: { name: 'hook', url: receiver.url, events, ...more } })).json;

const mlflow = async (method: string, path: string, body?: unknown) => {
  const answer = await api.app.request(`${MLFLOW}${path}`, {
    method,
    headers: { authorization: `Bearer ${api.admin}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, json: JSON.parse(await answer.text()) };
};

const verified = (secret: string, { body, headers }: Receiver['received'][number]) =>
  new Webhook(secret).verify(body, headers as Record<string, string>);

test('a receiver with Standard Webhooks’ library verifies what it is told, in the words of the events', async () => {
  const hook = await make(['model.created', 'version.created', 'version.approved', 'alias.moved']);
  expect(hook).toMatchObject({ signed: true, status: 'ACTIVE', secret: expect.stringMatching(/^whsec_/) });
  await api.call('POST', `${V1}/models`, { body: { name: 'digits' } });
  await api.call('POST', `${V1}/models/digits/versions`, { body: { files: [onnxFile] } });
  await api.call('PUT', `${V1}/models/digits/aliases/champion`, {
    body: { version: 1, reason: 'better' },
  });
  await vi.waitFor(() => expect(receiver.received).toHaveLength(3));
  const told = receiver.received.map((one) => verified(hook.secret, one)) as Record<string, unknown>[];
  expect(told.map(({ type }) => type).sort()).toEqual(['alias.moved', 'model.created', 'version.created']);
  const { items } = (await api.call('GET', `${V1}/audit?limit=1`)).json;
  const [{ id, at, chain: resource }] = items;
  expect(told.find(({ type }) => type === 'alias.moved')).toMatchObject({
    id,
    timestamp: at,
    workspace: 'default',
    resource,
    data: { subject: 'digits@champion', reason: 'better', after: { version: 1 } },
  });
  const [{ headers }] = receiver.received as [Receiver['received'][number]];
  expect(headers['webhook-id']).toBeTruthy();
  expect(Object.keys(headers).some((name) => name.startsWith('x-mlflow'))).toBe(false);
  expect(() =>
    verified(`whsec_${Buffer.alloc(32).toString('base64')}`, receiver.received[0] as never),
  ).toThrow();
});

test('what happens to endpoints is told too', async () => {
  await api.call('POST', `${V1}/models`, { body: { name: 'digits' } });
  await api.call('POST', `${V1}/models/digits/versions`, { body: { files: [onnxFile] } });
  const { secret } = await make(['endpoint.created', 'endpoint.deleted']);
  const spec = { model: 'digits', target: { version: 1 } };
  await api.call('POST', `${V1}/endpoints`, { body: { name: 'live', spec } });
  await vi.waitFor(() => expect(receiver.received).toHaveLength(1));
  expect(verified(secret, receiver.received[0] as never)).toMatchObject({
    type: 'endpoint.created',
    resource: 'endpoint/default/live',
    data: { subject: 'live' },
  });
});

describe('one webhook has two doors', () => {
  test('what MLflow’s client made is seen, paused and deleted natively', async () => {
    const events = [{ entity: 'MODEL_VERSION_TAG', action: 'SET' }];
    const { webhook } = (await mlflow('POST', '', { name: 'theirs', url: receiver.url, events })).json;
    const { json } = await api.call('GET', `${HOOKS}/${webhook.webhook_id}`);
    expect(json).toMatchObject({ name: 'theirs', events: ['model_version_tag.set'], signed: false });
    await api.call('PATCH', `${HOOKS}/${json.id}`, { body: { status: 'DISABLED' } });
    expect((await mlflow('GET', `/${json.id}`)).json.webhook.status).toBe('DISABLED');
    expect((await api.call('DELETE', `${HOOKS}/${json.id}`)).status).toBe(204);
    expect((await mlflow('GET', `/${json.id}`)).status).toBe(404);
  });

  test('MLflow’s events come in MLflow’s format, signed with the same secret, and stay when MLflow changes them', async () => {
    const hook = await make(['model.created', 'registered_model.created']);
    expect((await mlflow('GET', '')).json.webhooks).toMatchObject([
      { webhook_id: hook.id, events: [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }] },
    ]);
    await api.call('POST', `${V1}/models`, { body: { name: 'm' } });
    await vi.waitFor(() => expect(receiver.received).toHaveLength(2));
    const theirs = receiver.received.find(({ headers }) => 'x-mlflow-signature' in headers);
    expect(JSON.parse(theirs?.body ?? '')).toMatchObject({ entity: 'registered_model', data: { name: 'm' } });
    const events = [{ entity: 'PROMPT', action: 'CREATED' }];
    await mlflow('PATCH', `/${hook.id}`, { events });
    expect((await api.call('GET', `${HOOKS}/${hook.id}`)).json.events).toEqual([
      'model.created',
      'prompt.created',
    ]);
  });

  test('MLflow’s client is not shown a webhook with none of its events, which it could not read', async () => {
    const hook = await make(['endpoint.rolled-back']);
    expect((await mlflow('GET', '')).json).toEqual({});
    const { status, json } = await mlflow('GET', `/${hook.id}`);
    expect([status, json.message]).toEqual([404, expect.stringContaining('no event of MLflow’s')]);
    expect((await mlflow('DELETE', `/${hook.id}`)).status).toBe(404);
  });
});

test('a webhook is listed in pages, changed by revision and deleted, and the audit trail says by whom and why', async () => {
  const first = await make(['model.created']);
  await make(['model.deleted'], { name: 'second' });
  const page = (await api.call('GET', `${HOOKS}?limit=1`)).json;
  expect(page).toMatchObject({ items: [{ id: first.id }], nextCursor: expect.any(String) });
  const rest = (await api.call('GET', `${HOOKS}?cursor=${page.nextCursor}`)).json;
  expect(rest).toMatchObject({ items: [{ name: 'second' }] });
  const { headers } = await api.call('GET', `${HOOKS}/${first.id}`);
  const ifMatch = { 'if-match': headers.get('etag') ?? '' };
  const body = { description: 'x', events: ['alias.moved', 'alias.moved'], reason: 'quieter' };
  const { json } = await api.call('PATCH', `${HOOKS}/${first.id}`, { body, headers: ifMatch });
  expect(json).toMatchObject({ description: 'x', events: ['alias.moved'], url: first.url });
  const late = await api.call('PATCH', `${HOOKS}/${first.id}`, { body, headers: ifMatch });
  expect(late.json.code).toBe('PRECONDITION_FAILED');
  await api.call('DELETE', `${HOOKS}/${first.id}?reason=gone`);
  expect((await api.call('GET', `${HOOKS}/${first.id}`)).json.code).toBe('WEBHOOK_NOT_FOUND');
  const { items } = (await api.call('GET', `${V1}/audit?resource=webhook/${first.id}`)).json;
  expect(items.map(({ action, reason }: { action: string; reason?: string }) => [action, reason])).toEqual([
    ['webhook.deleted', 'gone'],
    ['webhook.updated', 'quieter'],
    ['webhook.created', undefined],
  ]);
});

test('the audit trail, which viewers read, has the host of an address and no more of it', async () => {
  const { id } = await make(['model.created'], { url: 'https://example.com/T0/B0/token' });
  await api.call('PATCH', `${HOOKS}/${id}`, { body: { url: 'https://example.com/T0/B0/other' } });
  const { items } = (await api.call('GET', `${V1}/audit?resource=webhook/${id}`)).json;
  expect(JSON.stringify(items)).not.toContain('/B0/');
  const [{ before, after }] = items;
  expect([before.host, after.host]).toEqual(['example.com', 'example.com']);
  expect(after.urlSha256).not.toBe(before.urlSha256);
});

test('a secret is seen once, never again or in the log, and another one takes its place', async () => {
  const hook = await make(['model.created']);
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
  const given = await make(['model.created'], { name: 'given', secret });
  expect(given).not.toHaveProperty('secret');
  await api.call('PATCH', `${HOOKS}/${hook.id}`, { body: { secret } });
  const seen = JSON.stringify([
    (await api.call('GET', HOOKS)).json,
    (await api.call('GET', `${HOOKS}/${hook.id}`)).json,
    (await api.call('GET', `${V1}/audit`)).json,
    api.log,
  ]);
  for (const each of [secret, hook.secret]) expect(seen).not.toContain(each.slice(6));
  await api.call('POST', `${HOOKS}/${hook.id}/test`);
  expect(verified(secret, receiver.received[0] as never)).toMatchObject({
    type: 'webhook.test',
    data: { subject: 'hook' },
  });
});

test('whoever asks why a webhook was not told is answered', async () => {
  const hook = await make(['model.created']);
  const deliveries = async () => (await api.call('GET', `${HOOKS}/${hook.id}/deliveries`)).json.items;
  const create = (name: string) => api.call('POST', `${V1}/models`, { body: { name } });
  expect(await deliveries()).toEqual([]);
  receiver.refusals.push(404);
  await create('a');
  await vi.waitFor(async () =>
    expect(await deliveries()).toMatchObject([
      { event: 'model.created', state: 'FAILED', attempts: 1, why: 'it answered 404' },
    ]),
  );
  receiver.refusals.push(503);
  await create('b');
  await vi.waitFor(async () =>
    expect(await deliveries()).toMatchObject([
      { state: 'WAITING', why: 'it answered 503', nextAttemptAt: expect.any(String) },
      { state: 'FAILED' },
    ]),
  );
  await create('c');
  await vi.waitFor(async () =>
    expect((await deliveries())[0]).toMatchObject({ state: 'DELIVERED', attempts: 1 }),
  );
  const [{ id }] = await deliveries();
  expect(receiver.received.map(({ headers }) => headers['webhook-id'])).toContain(id);
});

test('a test tells how it went', async () => {
  const hook = await make(['model.created']);
  const run = async () => (await api.call('POST', `${HOOKS}/${hook.id}/test`)).json;
  expect(await run()).toEqual({ delivered: true, status: 200, body: 'taken' });
  receiver.refusals.push(500);
  expect(await run()).toEqual({ delivered: false, status: 500, body: 'refused' });
  await api.call('PATCH', `${HOOKS}/${hook.id}`, { body: { url: 'http://127.0.0.1:1' } });
  expect(await run()).toEqual({ delivered: false, error: expect.stringContaining('ECONNREFUSED') });
  const { json } = await api.call('POST', HOOKS, {
    body: { name: 'm', url: receiver.url, events: ['prompt.created'] },
  });
  await api.call('POST', `${HOOKS}/${json.id}/test`);
  expect(JSON.parse(receiver.received.at(-1)?.body ?? '')).toMatchObject({ entity: 'prompt' });
});

describe('what does not fit is refused, naming the field', () => {
  const good = { name: 'hook', url: 'https://example.com/', events: ['model.created'] };
  test.each([
    ['name', { name: '-' }],
    ['url', { url: 'ftp://example.com' }],
    ['url', { url: 'https://me:secret@example.com' }],
    ['url', { url: ' https://example.com/' }],
    ['url', { url: 'https://example.com/\0' }],
    ['events', { events: [] }],
    ['events.0', { events: ['model.exploded'] }],
    ['status', { status: 'PAUSED' }],
    ['secret', { secret: 'short' }],
    ['secret', { secret: `whsec_${Buffer.alloc(23).toString('base64')}` }],
    ['color', { color: 'red' }],
  ])('%s', async (field, change) => {
    const { json } = await api.call('POST', HOOKS, { body: { ...good, ...change } });
    expect(json).toMatchObject({ code: 'INVALID_ARGUMENT', status: 400, field });
    expect(JSON.stringify(json)).not.toContain('me:secret');
  });

  test('an Idempotency-Key, since the answer is a secret', async () => {
    const headers = { 'idempotency-key': 'k' };
    const { json } = await api.call('POST', HOOKS, { body: good, headers });
    expect(json).toMatchObject({ status: 400, field: 'Idempotency-Key' });
  });
});

test('only an admin of the workspace reaches webhooks by any route', async () => {
  const { id } = await make([...CAIRN_EVENTS]);
  const token = await api.token('deployer', everything('approver'));
  const body = { name: 'mine', url: receiver.url, events: ['model.created'] };
  for (const [method, path, sent] of [
    ['GET', HOOKS],
    ['POST', HOOKS, body],
    ['GET', `${HOOKS}/${id}`],
    ['PATCH', `${HOOKS}/${id}`, { status: 'DISABLED' }],
    ['DELETE', `${HOOKS}/${id}`],
    ['POST', `${HOOKS}/${id}/test`],
    ['GET', `${HOOKS}/${id}/deliveries`],
  ] as const) {
    const { json } = await api.call(method, path, { token, body: sent });
    expect([path, json.code]).toEqual([path, 'PERMISSION_DENIED']);
  }
  expect(receiver.received).toEqual([]);
});

test('an installation that delivers nothing takes no webhooks', async () => {
  const without = await openApi();
  const body = { name: 'hook', url: 'https://example.com', events: ['model.created'] };
  expect((await without.call('POST', HOOKS, { body })).json.code).toBe('NOT_SUPPORTED');
  expect((await without.call('GET', HOOKS)).json.code).toBe('NOT_SUPPORTED');
  await without.close();
});
