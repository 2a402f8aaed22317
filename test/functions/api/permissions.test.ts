import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ROLES, type Role } from '../../../shared/access/role.ts';
import { type Api, everything, onnxFile, openApi, textFile, V1 } from './api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await openApi();
  await api.call('POST', `${V1}/models`, { body: { name: 'digits' } });
  await api.call('POST', `${V1}/models/digits/versions`, { body: { files: [textFile(), onnxFile] } });
  await api.call('PUT', `${V1}/models/digits/aliases/champion`, { body: { version: 1 } });
});
afterEach(() => api.close());

const MODEL = `${V1}/models/digits`;
const spec = { model: 'digits', target: { version: 1 } };

/** Each kind of action, and the least role that may do it. */
const ACTIONS: readonly (readonly [string, string, unknown, Role])[] = [
  ['GET', MODEL, undefined, 'viewer'],
  ['GET', `${MODEL}/versions`, undefined, 'viewer'],
  ['GET', `${MODEL}/versions/1/files`, undefined, 'viewer'],
  ['GET', `${MODEL}/versions/1/files/notes.txt`, undefined, 'viewer'],
  ['GET', `${MODEL}/versions/1/approval`, undefined, 'viewer'],
  ['GET', `${MODEL}/aliases/champion`, undefined, 'viewer'],
  ['GET', `${MODEL}/repository.bundle`, undefined, 'viewer'],
  ['GET', `${V1}/audit`, undefined, 'viewer'],
  ['GET', `${V1}/audit/verification`, undefined, 'viewer'],
  ['GET', '/metrics', undefined, 'viewer'],
  ['POST', `${V1}/models`, { name: 'new' }, 'contributor'],
  ['PATCH', MODEL, { description: 'x' }, 'contributor'],
  ['POST', `${MODEL}/versions`, { files: [textFile()] }, 'contributor'],
  ['PATCH', `${MODEL}/versions/1`, { description: 'x' }, 'contributor'],
  ['POST', `${MODEL}/uploads`, { files: [{ path: 'a', size: 1, sha256: 'a'.repeat(64) }] }, 'contributor'],
  ['PUT', `${MODEL}/aliases/champion`, { version: 1 }, 'deployer'],
  ['DELETE', `${MODEL}/aliases/champion`, undefined, 'deployer'],
  ['POST', `${V1}/endpoints`, { name: 'e', spec }, 'deployer'],
  ['POST', `${MODEL}/versions/1/approval`, { state: 'APPROVED' }, 'approver'],
  ['DELETE', MODEL, undefined, 'admin'],
  ['POST', '/api/v1/workspaces', { name: 'new' }, 'admin'],
  ['POST', '/api/v1/tokens', { principal: 'x', grants: [{ role: 'viewer', workspace: 'default' }] }, 'admin'],
];

describe.each(ROLES)('the role %s', (role) => {
  test.each(ACTIONS)('%s %s', async (method, path, body, least) => {
    const token = await api.token('someone', everything(role));
    const { status, json } = await api.call(method, path, { token, body });
    if (ROLES.indexOf(role) >= ROLES.indexOf(least)) expect(status).toBeLessThan(400);
    else
      expect(json).toMatchObject({
        code: 'PERMISSION_DENIED',
        status: 403,
        detail: expect.stringContaining(least),
      });
  });
});

describe('a grant reaches as far as it says', () => {
  test('one workspace', async () => {
    await api.call('POST', '/api/v1/workspaces', { body: { name: 'other' } });
    const token = await api.token('someone', { role: 'admin', workspace: 'other', models: '*' });
    expect((await api.call('GET', MODEL, { token })).json.code).toBe('PERMISSION_DENIED');
    expect((await api.call('GET', V1, { token })).json.code).toBe('PERMISSION_DENIED');
    expect((await api.call('GET', '/api/v1/workspaces/other/models', { token })).status).toBe(200);
    const { json } = await api.call('GET', '/api/v1/workspaces', { token });
    expect(json.items.map((w: { name: string }) => w.name)).toEqual(['other']);
    const grants = [{ role: 'viewer', workspace: 'default' }];
    expect(
      (await api.call('POST', '/api/v1/tokens', { token, body: { principal: 'x', grants } })).json.code,
    ).toBe('PERMISSION_DENIED');
    expect((await api.call('GET', '/metrics', { token })).json.code).toBe('PERMISSION_DENIED');
  });

  test('the audit trail of a workspace does not tell its viewers of tokens for others', async () => {
    const token = await api.token('someone', { role: 'viewer', workspace: 'default', models: '*' });
    await api.token('stranger', { role: 'admin', workspace: 'other', models: '*' });
    const tokenEvents = async (as: string, query: string) => {
      const { json } = await api.call('GET', `${V1}/audit?${query}`, { token: as });
      return json.items.filter(({ chain }: { chain: string }) => chain.startsWith('token/'));
    };
    expect(await tokenEvents(token, 'limit=100')).toMatchObject([
      { subject: expect.stringContaining('someone') },
    ]);
    expect(await tokenEvents(api.admin, 'limit=100')).toHaveLength(3);
    const [{ chain }] = await tokenEvents(api.admin, 'limit=1');
    expect(await tokenEvents(token, `resource=${chain}`)).toEqual([]);
    // What is hidden takes no place on a page.
    expect((await api.call('GET', `${V1}/audit?limit=1`, { token })).json.items).toHaveLength(1);
  });

  test('models by name', async () => {
    await api.call('POST', `${V1}/models`, { body: { name: 'faces' } });
    const token = await api.token('someone', { role: 'contributor', workspace: 'default', models: 'dig*' });
    expect((await api.call('PATCH', MODEL, { token, body: { description: 'x' } })).status).toBe(200);
    expect((await api.call('GET', `${V1}/models/faces`, { token })).json.code).toBe('PERMISSION_DENIED');
    expect((await api.call('PATCH', MODEL, { token, body: { name: 'other' } })).json.code).toBe(
      'PERMISSION_DENIED',
    );
    expect((await api.call('GET', `${V1}/models`, { token })).json.items).toHaveLength(1);
    expect((await api.call('GET', '/api/v1/search?q=a', { token })).json.items).toHaveLength(0);
    expect((await api.call('GET', `${V1}/audit`, { token })).json.code).toBe('PERMISSION_DENIED');
  });
});
