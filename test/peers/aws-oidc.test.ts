import { afterAll, beforeAll, expect, test } from 'vitest';
import { deployed, type Installation } from './aws-cdk.ts';
import { type Ministack, startMinistack } from './aws-ministack.ts';
import { type OidcServer, startOidcServer } from './oidc-server.ts';

/** The stacks as a user deploys them, with an issuer: a real OpenID Connect server, asked by functions behind the gateway. */

let ministack: Ministack;
let oidc: OidcServer;
let cairn: Installation;
let url: string;

beforeAll(async () => {
  oidc = await startOidcServer();
  ministack = await startMinistack();
  const { CAIRN_OIDC_ISSUER, CAIRN_OIDC_AUDIENCE, CAIRN_OIDC_ROLES = '' } = oidc.settings;
  cairn = await deployed(ministack.publicAccount, {
    'cairn:serving': true,
    'cairn:modelServerImage': 'none:1',
    'cairn:oidc': {
      issuer: CAIRN_OIDC_ISSUER,
      audience: CAIRN_OIDC_AUDIENCE,
      roles: JSON.parse(CAIRN_OIDC_ROLES),
    },
  });
  url = cairn.outputs.Cairn.ApiUrl ?? '';
});
afterAll(async () => {
  await cairn?.remove();
  await ministack?.close();
  await oidc?.stop();
});

const get = (path: string, token: string) =>
  fetch(url + path, { headers: { authorization: `Bearer ${token}` } });

test('the api function takes the issuer’s tokens, also to write', async () => {
  const token = await oidc.machineToken();
  const who = await get('/api/v1/whoami', token);
  expect([who.status, await who.json()]).toMatchObject([200, { principal: 'oidc:ci', issuer: oidc.issuer }]);
  const made = await fetch(`${url}/api/v1/workspaces/default/models`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'digits' }),
  });
  expect([made.status, await made.json()]).toMatchObject([201, { createdBy: 'oidc:ci' }]);
  const refused = await get('/api/v1/whoami', `${token}x`);
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
    401,
    `Bearer realm="cairn", resource_metadata="${url}/.well-known/oauth-protected-resource", Basic realm="cairn"`,
  ]);
});

test('the authorizer lets whoever has a role on to the load balancer, and nobody else', async () => {
  const path = '/endpoints/default/digits/v2/models/digits';
  const token = await oidc.machineToken();
  oidc.groups = ['visitors'];
  const visitor = await oidc.machineToken();
  const status = async (given: string) => (await get(path, given)).status;
  expect([await status(visitor), await status(`${token}x`)]).toEqual([403, 401]);
  // No endpoint has been made: the load balancer has no rule for it.
  expect([401, 403]).not.toContain(await status(token));
});
