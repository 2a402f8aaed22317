import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { claimValues } from '../../../shared/access/claim.ts';
import { authenticateByIssuer, IssuerTrust, isJwt } from '../../../shared/access/issuer.ts';
import { readIssuerSettings, writeIssuerSettings } from '../../../shared/access/issuer-settings.ts';

const ISSUER = 'https://id.example.com';
const EXP = Date.UTC(2026, 0, 1) / 1000;

/** Who a token with these claims stands for. */
function caller(claims: object, roles: object[], principalClaim?: string | string[]) {
  const trust = IssuerTrust.parse({ issuer: ISSUER, audience: 'cairn', roles, principalClaim });
  const verifier = { verify: async () => ({ exp: EXP, ...claims }) };
  return authenticateByIssuer({ trust, verifier }, 'token', 'r1');
}

const VIEWER = 'viewer@default/*';
const viewer = { role: 'viewer', workspace: 'default', models: '*' };

test('a caller has the grants of every rule that fits, a name of its own kind and the token’s end', async () => {
  const roles = [
    { claim: 'groups', value: 'ml-admins', grant: 'admin@*/*' },
    { claim: 'groups', value: 'ml-*', grant: VIEWER },
    { claim: 'groups', value: 'fraud', grant: 'contributor@default/fraud-*' },
  ];
  expect(await caller({ sub: 'ada', groups: ['ml-team', 'fraud'] }, roles)).toEqual({
    principal: 'oidc:ada',
    issuer: ISSUER,
    expiresAt: EXP * 1000,
    grants: [viewer, { role: 'contributor', workspace: 'default', models: 'fraud-*' }],
    requestId: 'r1',
  });
});

test('someone whom no rule gives a role is known and may nothing', async () => {
  await expect(
    caller({ sub: 'eve' }, [{ claim: 'groups', value: '*', grant: VIEWER }]),
  ).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    detail: `${ISSUER} vouches for "oidc:eve", but none of the token’s claims gives a role here.`,
  });
});

/** Claims as each issuer's documentation shows them. */
describe.each([
  [
    'Keycloak',
    { realm_access: { roles: ['offline_access', 'ml'] } },
    { claim: 'realm_access.roles', value: 'ml' },
  ],
  [
    'Keycloak’s roles of a client',
    { resource_access: { 'my.cairn': { roles: ['ml'] } } },
    { claim: ['resource_access', 'my.cairn', 'roles'], value: 'ml' },
  ],
  [
    'Entra ID',
    { roles: ['Models.Deploy'], scp: 'Models.Read openid' },
    { claim: 'roles', value: 'Models.Deploy' },
  ],
  ['Entra ID’s scopes', { scp: 'openid Models.Read' }, { claim: 'scp', value: 'Models.Read' }],
  ['Cognito', { 'cognito:groups': ['ml'], token_use: 'id' }, { claim: 'cognito:groups', value: 'ml' }],
  ['Auth0', { 'https://example.com/roles': ['ml'] }, { claim: 'https://example.com/roles', value: 'ml' }],
  ['Auth0’s permissions', { scope: 'openid deploy:models' }, { claim: 'scope', value: 'deploy:models' }],
  [
    'GitHub Actions',
    { repository: 'org/repo', ref: 'refs/heads/main', environment: 'prod' },
    { claim: 'repository', value: 'org/repo', and: [{ claim: 'ref', value: 'refs/heads/*' }] },
  ],
  [
    'GitHub’s subject',
    { sub: 'repo:org/repo:ref:refs/tags/v1' },
    { claim: 'sub', value: 'repo:org/repo:ref:refs/tags/*' },
  ],
  [
    'GitLab',
    { namespace_id: '72', ref_protected: 'true' },
    { claim: 'namespace_id', value: '72', and: [{ claim: 'ref_protected', value: 'true' }] },
  ],
  [
    'Google',
    { hd: 'example.com', email: 'ada@example.com', email_verified: true },
    { claim: 'email', value: '*@example.com' },
  ],
])('%s', (_, claims, rule) => {
  test('gives what the rule says', async () => {
    expect(await caller({ sub: 'x', ...claims }, [{ ...rule, grant: VIEWER }])).toMatchObject({
      grants: [viewer],
    });
  });
});

test.each([
  ['a value that only begins so', { groups: ['ml-team-x'] }, { claim: 'groups', value: 'ml-team' }],
  [
    'a repository that begins so',
    { sub: 'repo:org/repo-evil:ref:x' },
    { claim: 'sub', value: 'repo:org/repo:*' },
  ],
  ['other capitals', { groups: ['ML'] }, { claim: 'groups', value: 'ml' }],
  ['half of what is needed', { a: '1' }, { claim: 'a', value: '1', and: [{ claim: 'b', value: '1' }] }],
  ['an object', { groups: { ml: true } }, { claim: 'groups', value: '*' }],
  ['nothing', { groups: null }, { claim: 'groups', value: '*' }],
  ['an empty list', { groups: [] }, { claim: 'groups', value: '*' }],
  ['what every object inherits', {}, { claim: 'constructor.name', value: '*' }],
  ['a list in the list', { groups: [['ml']] }, { claim: 'groups', value: 'ml' }],
  ['a text with commas', { groups: 'ml,ops' }, { claim: 'groups', value: 'ml' }],
  ['an address that nobody verified', { email: 'a@example.com' }, { claim: 'email', value: '*@example.com' }],
  [
    'an address that is not verified',
    { email: 'a@example.com', email_verified: false },
    { claim: 'email', value: '*' },
  ],
])('%s gives nothing', async (_, claims, rule) => {
  const refused = caller({ sub: 'x', ...claims }, [{ ...rule, grant: VIEWER }]);
  await expect(refused).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});

test('a claim has as many values as it lists, whatever it is', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.integer(), fc.boolean())), (values) => {
      expect(claimValues({ exp: 1, x: { y: values } }, 'x.y')).toEqual(values.map(String));
    }),
  );
  fc.assert(fc.property(fc.jsonValue(), (value) => void claimValues({ exp: 1, x: value }, 'x.y.z')));
});

const ALL = [{ claim: 'all', value: 'true', grant: VIEWER }];

test('the name is what the chosen claim says', async () => {
  const claims = { sub: '17', all: true, preferred_username: 'ada', ext: { upn: 'ada@example.com' } };
  expect(await caller(claims, ALL, 'preferred_username')).toMatchObject({ principal: 'oidc:ada' });
  expect(await caller(claims, ALL, 'ext.upn')).toMatchObject({ principal: 'oidc:ada@example.com' });
  expect(await caller({ ...claims, sub: 'system:start' }, ALL)).toMatchObject({
    principal: 'oidc:system:start',
  });
});

test.each([
  ['is not there', undefined],
  ['is empty', ''],
  ['is blank', '  '],
  ['is too long', 'x'.repeat(251)],
  ['has control characters', 'ada\nadmin'],
  ['is not valid Unicode', 'ada\ud800'],
  ['is a list of names', ['ada', 'bob']],
  ['is an object', { name: 'ada' }],
])('nobody is known by a name that %s', async (_, sub) => {
  const refused = caller({ sub, all: true }, ALL);
  await expect(refused).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    detail: 'The token’s claim "sub" is not the name of anybody.',
  });
});

test('nobody is known by an address that is not verified', async () => {
  const refused = caller({ sub: 'x', all: true, email: 'ada@example.com' }, ALL, 'email');
  await expect(refused).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('no token of Cairn’s has the form of a JWT', () => {
  expect(isJwt('eyJhbGciOiJub25lIn0.e30.')).toBe(true);
  for (const token of ['cairn_0123456789abcdef_x.y.z', 'a-chosen-admin-token', 'e.e.e', 'eyJ.', ''])
    expect(isJwt(token), token).toBe(false);
});

describe('settings', () => {
  const ENV = {
    CAIRN_OIDC_ISSUER: ISSUER,
    CAIRN_OIDC_AUDIENCE: 'cairn',
    CAIRN_OIDC_ROLES: '[{"claim":"groups","value":"ml","grant":"viewer@default"}]',
  };

  test('are what they are written as', () => {
    const { trust, problems } = readIssuerSettings({ ...ENV, CAIRN_OIDC_PRINCIPAL: '["a","b"]' });
    expect(problems).toEqual([]);
    expect(trust).toEqual({
      issuer: ISSUER,
      audience: 'cairn',
      roles: [{ claim: 'groups', value: 'ml', grant: viewer }],
      principalClaim: ['a', 'b'],
    });
    expect(trust && readIssuerSettings(writeIssuerSettings(trust)).trust).toEqual(trust);
  });

  test('need not be there', () => {
    expect(readIssuerSettings({ CAIRN_OIDC_ISSUER: '' })).toEqual({ problems: [] });
  });

  test.each<[object, string]>([
    [
      { CAIRN_OIDC_ISSUER: undefined },
      'CAIRN_OIDC_AUDIENCE: is without effect, since CAIRN_OIDC_ISSUER is not set',
    ],
    [{ CAIRN_OIDC_AUDIENCE: undefined }, 'CAIRN_OIDC_AUDIENCE: is needed with CAIRN_OIDC_ISSUER'],
    [{ CAIRN_OIDC_ROLES: '' }, 'CAIRN_OIDC_ROLES: is needed with CAIRN_OIDC_ISSUER'],
    [{ CAIRN_OIDC_ISSUER: 'http://id.example.com' }, 'CAIRN_OIDC_ISSUER: must be an https address'],
    [{ CAIRN_OIDC_ISSUER: 'id.example.com' }, 'CAIRN_OIDC_ISSUER: must be an https address'],
    [{ CAIRN_OIDC_ISSUER: 'https://a:b@id.example.com' }, 'CAIRN_OIDC_ISSUER: must be an https address'],
    [{ CAIRN_OIDC_ISSUER: 'http://localhost.example.com' }, 'CAIRN_OIDC_ISSUER: must be an https address'],
    [{ CAIRN_OIDC_ISSUER: 'http://127.example.com' }, 'CAIRN_OIDC_ISSUER: must be an https address'],
    [{ CAIRN_OIDC_LOGIN: '{"scope":"openid"}' }, 'CAIRN_OIDC_LOGIN: must have a client_id'],
    [{ CAIRN_OIDC_LOGIN: 'cairn-cli' }, 'CAIRN_OIDC_LOGIN: must be JSON'],
    [
      { CAIRN_OIDC_LOGIN: '{"client_id":"a","client_secret":"b"}' },
      'CAIRN_OIDC_LOGIN: must be of a public client',
    ],
    [{ CAIRN_OIDC_ROLES: '[{' }, 'CAIRN_OIDC_ROLES: must be JSON'],
    [{ CAIRN_OIDC_ROLES: '[]' }, 'CAIRN_OIDC_ROLES: '],
    [{ CAIRN_OIDC_ROLES: '[{"claim":"a","grant":"viewer@default"}]' }, 'CAIRN_OIDC_ROLES.0.value: '],
    [
      { CAIRN_OIDC_ROLES: '[{"claim":"a","value":"b","grant":"root@default"}]' },
      'CAIRN_OIDC_ROLES.0.grant: There is no role "root".',
    ],
    [
      { CAIRN_OIDC_ROLES: '[{"claim":"a","value":"b","grant":"viewer"}]' },
      'CAIRN_OIDC_ROLES.0.grant: "viewer" is not a grant.',
    ],
    [{ CAIRN_OIDC_ROLES: '[{"claim":"a","value":"b","grant":"viewer@*","or":[]}]' }, 'CAIRN_OIDC_ROLES.0: '],
  ])('%j is refused by its name', (change, problem) => {
    expect(readIssuerSettings({ ...ENV, ...change }).problems.join('\n')).toContain(problem);
  });

  test.each([
    'http://localhost:4000',
    'http://127.0.0.1:4000/realms/x',
    'http://[::1]:4000',
    'https://x.auth0.com/',
  ])('%s can be an issuer', (issuer) => {
    expect(readIssuerSettings({ ...ENV, CAIRN_OIDC_ISSUER: issuer }).problems).toEqual([]);
  });
});
