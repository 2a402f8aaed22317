import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { SqliteTable } from '../../../shared/adapters/local/sqlite-table.ts';
import { type Api, openApi, textFile, V1 } from './api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await openApi((deps) => ({ ...deps, revision: () => (deps.ports.table as SqliteTable).revision() }));
  await api.call('POST', `${V1}/models`, { body: { name: 'digits' } });
  await api.call('POST', `${V1}/models/digits/versions`, { body: { files: [textFile()] } });
  await api.call('PUT', `${V1}/models/digits/aliases/champion`, { body: { version: 1 } });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await api.close();
});

const ALIAS = `${V1}/models/digits/aliases/champion`;

test('an answer is given again without a read, with a request id of its own', async () => {
  const first = await api.call('GET', ALIAS);
  const reads = vi.spyOn(api.ports.table, 'get');
  const again = await api.call('GET', ALIAS);
  expect(reads).not.toHaveBeenCalled();
  expect(again.json).toEqual(first.json);
  expect(again.headers.get('etag')).toBe(first.headers.get('etag'));
  expect(again.headers.get('content-type')).toBe('application/json');
  expect(again.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
  expect(api.log.at(-1)?.fields).toMatchObject({ status: 200, principal: 'admin' });
});

test('every write is seen by the next read', async () => {
  await api.call('POST', `${V1}/models/digits/versions`, { body: { files: [textFile('two')] } });
  for (let n = 0; n < 20; n++) {
    const version = (n % 2) + 1;
    await api.call('PUT', ALIAS, { body: { version } });
    expect((await api.call('GET', ALIAS)).json.version).toBe(version);
    expect((await api.call('GET', ALIAS)).json.version).toBe(version);
  }
  await api.call('DELETE', ALIAS);
  expect((await api.call('GET', ALIAS)).json.code).toBe('ALIAS_NOT_FOUND');
});

test('a token sees what it may see, not what another was answered, and nothing once it is revoked or expired', async () => {
  await api.call('GET', ALIAS);
  const stranger = await api.token('stranger', { role: 'viewer', workspace: 'other', models: '*' });
  expect((await api.call('GET', ALIAS, { token: stranger })).json.code).toBe('PERMISSION_DENIED');
  expect((await api.call('GET', ALIAS, { token: null })).status).toBe(401);
  const grants = [{ role: 'viewer', workspace: 'default' }];
  const made = await api.call('POST', '/api/v1/tokens', {
    body: { principal: 'ci', grants, expiresAt: '2026-01-01T01:00:00Z' },
  });
  const { token, id } = made.json;
  const short = await api.call('POST', '/api/v1/tokens', {
    body: { principal: 'ci', grants, expiresAt: '2026-01-01T00:00:10Z' },
  });
  expect((await api.call('GET', ALIAS, { token: short.json.token })).status).toBe(200);
  expect((await api.call('GET', ALIAS, { token })).status).toBe(200);
  api.ports.clock.advance(10_000);
  expect((await api.call('GET', ALIAS, { token: short.json.token })).status).toBe(401);
  expect((await api.call('GET', ALIAS, { token })).status).toBe(200);
  await api.call('DELETE', `/api/v1/tokens/${id}`);
  expect((await api.call('GET', ALIAS, { token })).status).toBe(401);
});
