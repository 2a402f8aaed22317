import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type Api, everything, openApi, textFile, V1 } from './api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await openApi();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await api.close();
});

const KEY = { 'idempotency-key': 'key-1' };
const make = (name = 'digits', headers: Record<string, string> = KEY, token = api.admin) =>
  api.call('POST', `${V1}/models`, { body: { name }, headers, token });

test('a repeat gets the first answer and makes nothing', async () => {
  const first = await make();
  const again = await make();
  expect(again.status).toBe(201);
  expect(again.json).toEqual(first.json);
  expect(again.headers.get('location')).toBe(first.headers.get('location'));
  expect(again.headers.get('etag')).toBe(first.headers.get('etag'));
  expect(again.headers.get('idempotency-replayed')).toBe('true');
  expect(first.headers.get('idempotency-replayed')).toBeNull();
  expect((await api.call('GET', `${V1}/models`)).json.items).toHaveLength(1);
});

test('a version is made once however often it is sent', async () => {
  await make();
  const send = () =>
    api.call('POST', `${V1}/models/digits/versions`, {
      body: { files: [textFile()] },
      headers: { 'idempotency-key': 'v' },
    });
  const answers = await Promise.all([send(), send(), send(), send()]);
  for (const { status, json } of answers) expect(status === 201 || json.code === 'CONFLICT').toBe(true);
  expect((await send()).json.version).toBe(1);
  expect((await api.call('GET', `${V1}/models/digits/versions`)).json.items).toHaveLength(1);
});

test('another request under the same key is refused', async () => {
  await make();
  expect((await make('other')).json).toMatchObject({
    code: 'IDEMPOTENCY_MISMATCH',
    status: 422,
    field: 'Idempotency-Key',
  });
});

test('a key belongs to its token', async () => {
  await make();
  const other = await api.token('grace', everything('contributor'));
  expect((await make('other', KEY, other)).status).toBe(201);
});

test('an error is answered again, with what it said', async () => {
  await make('digits', {});
  const first = await make();
  expect(first.json.code).toBe('MODEL_EXISTS');
  await api.call('DELETE', `${V1}/models/digits`);
  const again = await api.app.request(`${V1}/models`, {
    method: 'POST',
    headers: { ...KEY, authorization: `Bearer ${api.admin}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'digits' }),
  });
  expect(again.status).toBe(409);
  expect(again.headers.get('content-type')).toBe('application/problem+json');
  expect(await again.json()).toEqual(first.json);
});

test('a failure of the service gives the key free', async () => {
  vi.spyOn(api.ports.bus, 'publish').mockRejectedValueOnce(new Error('the bus is down'));
  const { status, json } = await make();
  expect([status, json.code]).toEqual([500, 'INTERNAL']);
  expect((await make()).headers.get('idempotency-replayed')).toBeNull();
});

test('a key is forgotten after a day', async () => {
  await make();
  api.ports.clock.advance(24 * 3600 * 1000 + 1000);
  expect((await make('other')).status).toBe(201);
});

test('a request whose process died gives its key free after a while', async () => {
  const { table } = api.ports;
  const transact = table.transact.bind(table);
  let writes = 0;
  vi.spyOn(table, 'transact').mockImplementation((ops) =>
    writes++ === 0 ? transact(ops) : Promise.reject(new Error('killed')),
  );
  expect((await make()).status).toBe(500);
  vi.restoreAllMocks();
  expect((await make()).json).toMatchObject({ code: 'CONFLICT', field: 'Idempotency-Key' });
  api.ports.clock.advance(5 * 60 * 1000);
  expect((await make()).status).toBe(201);
});

test.each(['', 'a b', 'x'.repeat(256), 'ü'])('the key %j is malformed', async (key) => {
  expect((await make('digits', { 'idempotency-key': key })).json).toMatchObject({
    code: 'INVALID_ARGUMENT',
    field: 'Idempotency-Key',
  });
});

test('a token is not kept: its route takes no key', async () => {
  const body = { principal: 'ci', grants: [{ role: 'viewer', workspace: 'default' }] };
  const { json } = await api.call('POST', '/api/v1/tokens', { body, headers: KEY });
  expect(json).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'Idempotency-Key' });
  expect((await api.call('GET', '/api/v1/tokens')).json.items).toHaveLength(1);
});
