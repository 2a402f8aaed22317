import { afterEach, beforeEach, expect, test } from 'vitest';
import { allows } from '../../../shared/access/grant.ts';
import { ROLES } from '../../../shared/access/role.ts';
import {
  authenticate,
  ensureAdminToken,
  issueToken,
  listTokens,
  revokeToken,
} from '../../../shared/access/token.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

let ports: LocalPorts;
beforeEach(async () => {
  ports = await openLocalPorts();
});
afterEach(() => ports.close());

const admin = someone('admin', 'admin');
const viewerGrant = { role: 'viewer' as const, workspace: 'default', models: '*' };
const issue = (principal: string, expiresAt?: number) =>
  issueToken(ports, admin, { principal, description: '', grants: [viewerGrant], expiresAt });

test('a token says who sent it, until it is revoked or expires', async () => {
  const { token, info } = await issue('vi', ports.clock.now() + 1000);
  expect(token).toMatch(/^cairn_[0-9a-f]{16}_[\w-]{43}$/);
  expect(await authenticate(ports, token, 'r1')).toEqual({
    principal: 'vi',
    tokenId: info.id,
    expiresAt: info.expiresAt,
    grants: [viewerGrant],
    requestId: 'r1',
  });
  ports.clock.advance(1000);
  await expect(authenticate(ports, token, 'r2')).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
    detail: expect.stringContaining('expired'),
  });
  const second = await issue('vi');
  await revokeToken(ports, admin, second.info.id);
  await expect(authenticate(ports, second.token, 'r3')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
});

test('another secret, another id and another form are all refused', async () => {
  const { token } = await issue('vi');
  for (const wrong of [
    `${token.slice(0, -1)}_`,
    token.replace(/_[0-9a-f]{4}/, '_0000'),
    'cairn_',
    '',
    'Bearer',
  ]) {
    await expect(authenticate(ports, wrong, 'r')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  }
});

test('the store and the audit trail never hold a token', async () => {
  const { token } = await issue('vi');
  const secret = token.slice(-43);
  const pages = await Promise.all(
    ['tokens', `token/${token.split('_')[1]}`].map((pk) => ports.table.query({ pk, limit: 100 })),
  );
  expect(pages.flatMap(({ items }) => items).length).toBeGreaterThan(2);
  expect(JSON.stringify(pages)).not.toContain(secret);
  expect(JSON.stringify(ports.events)).not.toContain(secret);
});

test('the first start makes an admin token once; a chosen one works, and changing it replaces it', async () => {
  const made = await ensureAdminToken(ports);
  expect(made).toBeDefined();
  expect(await ensureAdminToken(ports)).toBeUndefined();
  await ensureAdminToken(ports, 'a-chosen-admin-token');
  expect(await authenticate(ports, 'a-chosen-admin-token', 'r')).toMatchObject({ principal: 'admin' });
  await ensureAdminToken(ports, 'another-admin-token');
  await expect(authenticate(ports, 'a-chosen-admin-token', 'r')).rejects.toMatchObject({
    code: 'UNAUTHENTICATED',
  });
});

test('nobody gives more than they have', async () => {
  const local = someone('local', 'admin', { workspace: 'team' });
  const give = (workspace: string) =>
    issueToken(ports, local, {
      principal: 'x',
      description: '',
      grants: [{ role: 'viewer', workspace, models: '*' }],
    });
  await expect(give('team')).resolves.toBeDefined();
  await expect(give('default')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await expect(give('*')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
});

test.each([' oidc:bob', 'OIDC:bob', 'oidc\uFF1Abob', 'oidc\u200B:bob', '\u2060system:start'])(
  'the name %j, which reads like one of somebody else’s, is refused',
  async (principal) => {
    const grants = [{ role: 'viewer' as const, workspace: 'team', models: '*' }];
    await expect(issueToken(ports, admin, { principal, description: '', grants })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      field: 'principal',
    });
  },
);

test('an admin of one workspace cannot take the name of someone who may more, and revoke what is theirs', async () => {
  const root = await issueToken(ports, admin, {
    principal: 'root',
    description: '',
    grants: [{ role: 'admin', workspace: '*', models: '*' }],
  });
  const local = someone('local', 'admin', { workspace: 'team' });
  const grants = [{ role: 'viewer' as const, workspace: 'team', models: '*' }];
  const take = (principal: string) => issueToken(ports, local, { principal, description: '', grants });
  await expect(take('root')).rejects.toMatchObject({ code: 'PERMISSION_DENIED', field: 'principal' });
  await expect(take('system:on-alarm')).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    field: 'principal',
  });
  // A name taken before its owner came gives nothing over the owner's tokens either.
  const sameName = someone('root', 'viewer', { workspace: 'team' });
  await expect(revokeToken(ports, sameName, root.info.id)).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
  });
  const given = await take('bob');
  expect((await listTokens(ports, local, { limit: 10 })).items).toEqual([given.info]);
  await revokeToken(ports, local, given.info.id);
});

test('one sees and revokes one’s own tokens, an admin of everything all', async () => {
  const mine = await issue('vi');
  await issue('other');
  const vi = someone('vi', 'viewer');
  expect((await listTokens(ports, vi, { limit: 10 })).items).toEqual([mine.info]);
  expect((await listTokens(ports, admin, { limit: 10 })).items).toHaveLength(2);
  await revokeToken(ports, vi, mine.info.id);
  await expect(revokeToken(ports, someone('eve', 'viewer'), mine.info.id)).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
  });
});

test.each([
  ['digits', 'digits', true],
  ['digits', 'digits2', false],
  ['team-*', 'team-a', true],
  ['team-*', 'other', false],
  ['*-prod', 'a-prod', true],
  ['a*b*c', 'aXbYc', true],
  ['a*b*c', 'ac', false],
  ['ab*ba', 'aba', false],
  ['.*', 'x', false],
])('the pattern %j matches the name %j: %j', (models, name, expected) => {
  expect(allows(someone('p', 'viewer', { models }), 'viewer', { workspace: 'default', name })).toBe(expected);
});

test('each role may do what the ones before it may, and no more', () => {
  for (const [held, role] of ROLES.entries()) {
    for (const [needed, wanted] of ROLES.entries()) {
      expect(allows(someone('p', role), wanted, { workspace: 'default' })).toBe(held >= needed);
    }
  }
});
