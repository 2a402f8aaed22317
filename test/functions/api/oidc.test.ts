import { afterEach, beforeEach, expect, test } from 'vitest';
import type { ApiDeps } from '../../../functions/api/deps.ts';
import { authoriseRequest } from '../../../functions/local/authorise-request.ts';
import { IssuerTrust } from '../../../shared/access/issuer.ts';
import { openOidcIssuer } from '../../../shared/adapters/oidc-issuer.ts';
import { startIssuer, type TestIssuer } from '../../support/issuer.ts';
import { type Api, everything, openApi } from './api-fixture.ts';

const ROLES = [
  { claim: 'groups', value: 'admins', grant: 'admin@*/*' },
  { claim: 'groups', value: 'approvers', grant: 'approver@default/*' },
  { claim: 'groups', value: 'fraud', grant: 'contributor@default/fraud-*' },
];
const MODELS = '/api/v1/workspaces/default/models';
const basic = (token: string) => `Basic ${Buffer.from(`any:${token}`).toString('base64')}`;

let issuer: TestIssuer;
let api: Api;
let deps: ApiDeps;
beforeEach(async () => {
  let now = () => 0;
  issuer = await startIssuer(() => now());
  const trust = IssuerTrust.parse({ issuer: issuer.url, audience: 'cairn', roles: ROLES });
  api = await openApi((made) => {
    const { clock } = made.ports;
    now = clock.now;
    deps = { ...made, issuer: { trust, verifier: openOidcIssuer({ trust, clock, onFault: () => {} }) } };
    return deps;
  });
});
afterEach(async () => {
  await issuer.stop();
  await api.close();
});

test('who one is, what one may, until when, and who says so', async () => {
  const token = await issuer.sign({ sub: 'ada', groups: ['fraud', 'other'] });
  expect((await api.call('GET', '/api/v1/whoami', { token })).json).toEqual({
    principal: 'oidc:ada',
    issuer: issuer.url,
    expiresAt: '2026-01-01T01:00:00.000Z',
    grants: [{ role: 'contributor', workspace: 'default', models: 'fraud-*' }],
  });
  api.ports.clock.advance(3_631_000);
  expect((await api.call('GET', '/api/v1/whoami', { token })).status).toBe(401);
});

test('what is done is done under that name, and the audit trail says who vouched for it', async () => {
  const token = await issuer.sign({ sub: 'ada', groups: ['fraud'] });
  const made = await api.call('POST', MODELS, { token, body: { name: 'fraud-1' } });
  expect([made.status, made.json.createdBy]).toEqual([201, 'oidc:ada']);
  const { json } = await api.call('GET', '/api/v1/workspaces/default/audit?limit=1');
  expect(json.items[0]).toMatchObject({
    action: 'model.created',
    actor: { principal: 'oidc:ada', issuer: issuer.url },
  });
  expect((await api.call('GET', '/api/v1/workspaces/default/audit/verification')).json).toMatchObject({
    ok: true,
  });
  const other = await api.call('POST', MODELS, { token, body: { name: 'digits' } });
  expect([other.status, other.json.code]).toEqual([403, 'PERMISSION_DENIED']);
});

test('every door takes it: Bearer and Basic, git, Git LFS, MLflow, endpoints', async () => {
  const token = await issuer.sign({ sub: 'ada', groups: ['admins'] });
  await api.call('POST', MODELS, { body: { name: 'digits' } });
  const authorise = authoriseRequest(api.ports, deps.issuer);
  for (const authorization of [`Bearer ${token}`, basic(token)]) {
    for (const path of [
      '/api/v1/whoami',
      '/default/digits.git/info/refs?service=git-upload-pack',
      '/default/digits.git/info/lfs/locks',
      '/api/2.0/mlflow/registered-models/search',
    ]) {
      const { status } = await api.app.request(path, { headers: { authorization } });
      expect([path, status]).toEqual([path, 200]);
    }
    await authorise({ headers: { authorization } } as never, { workspace: 'default', endpoint: 'digits' });
  }
});

test('someone whom no rule gives a role may nothing, not even ask who they are', async () => {
  const token = await issuer.sign({ sub: 'eve', groups: ['visitors'] });
  for (const path of ['/api/v1/whoami', MODELS, '/api/v1/tokens']) {
    const { status, json } = await api.call('GET', path, { token });
    expect([status, json.code]).toEqual([403, 'PERMISSION_DENIED']);
    expect(json.detail).toContain('vouches for "oidc:eve"');
  }
});

test('an issuer that is down is 503 to its tokens and nothing to Cairn’s own', async () => {
  const token = await issuer.sign({ sub: 'ada', groups: ['admins'] });
  await issuer.stop();
  const answer = await api.call('GET', MODELS, { token });
  expect([answer.status, answer.json.code, answer.headers.get('retry-after')]).toEqual([
    503,
    'ISSUER_UNAVAILABLE',
    '5',
  ]);
  const mlflow = await api.app.request('/api/2.0/mlflow/registered-models/search', {
    headers: { authorization: `Bearer ${token}` },
  });
  expect([mlflow.status, await mlflow.json()]).toEqual([
    503,
    expect.objectContaining({ error_code: 'TEMPORARILY_UNAVAILABLE' }),
  ]);
  expect((await api.call('GET', MODELS)).status).toBe(200);
});

test('a refusal says where it is written whose tokens are taken', async () => {
  for (const path of [MODELS, '/api/2.0/mlflow/registered-models/search', '/default/digits.git/info/refs']) {
    const refused = await api.app.request(`http://cairn.example${path}`);
    expect([path, refused.status, refused.headers.get('www-authenticate')]).toEqual([
      path,
      401,
      'Bearer realm="cairn", resource_metadata="http://cairn.example/.well-known/oauth-protected-resource", Basic realm="cairn"',
    ]);
  }
  const answer = await api.call('GET', '/.well-known/oauth-protected-resource', { token: null });
  expect(answer.json).toMatchObject({ authorization_servers: [issuer.url] });
});

test('a model is approved by someone other than its author, whoever signed in', async () => {
  const ada = await issuer.sign({ sub: 'ada', groups: ['fraud', 'approvers'] });
  const bob = await issuer.sign({ sub: 'bob', groups: ['approvers'] });
  await api.call('POST', MODELS, { token: ada, body: { name: 'fraud-1' } });
  const made = await api.call('POST', `${MODELS}/fraud-1/versions`, {
    token: ada,
    body: { files: [{ path: 'notes.txt', content: Buffer.from('x').toString('base64') }] },
  });
  expect(made.status).toBe(201);
  const approval = `${MODELS}/fraud-1/versions/1/approval`;
  const own = await api.call('POST', approval, { token: ada, body: { state: 'APPROVED' } });
  expect([own.status, own.json.code]).toEqual([403, 'SELF_APPROVAL']);
  expect((await api.call('POST', approval, { token: bob, body: { state: 'APPROVED' } })).status).toBe(200);
});

test('its names are nobody else’s: Cairn makes tokens for them only to whoever it is', async () => {
  const ada = await issuer.sign({ sub: 'ada', groups: ['admins'] });
  const body = { principal: 'oidc:ada', grants: [everything('viewer')] };
  const refused = await api.call('POST', '/api/v1/tokens', { body });
  expect([refused.status, refused.json.field]).toEqual([400, 'principal']);
  const made = await api.call('POST', '/api/v1/tokens', { token: ada, body });
  expect(made.status).toBe(201);
  expect((await api.call('GET', '/api/v1/whoami', { token: made.json.token })).json).toMatchObject({
    principal: 'oidc:ada',
    tokenId: made.json.id,
  });
  const more = await issuer.sign({ sub: 'ada', groups: ['fraud'] });
  const beyond = await api.call('POST', '/api/v1/tokens', { token: more, body });
  expect([beyond.status, beyond.json.code]).toEqual([403, 'PERMISSION_DENIED']);
  const system = { principal: 'system:start', grants: [everything('viewer')] };
  expect((await api.call('POST', '/api/v1/tokens', { token: ada, body: system })).status).toBe(400);
});
