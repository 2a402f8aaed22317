import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import { type ListPage, listPage, type PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Key, Table } from '../ports/table.ts';
import { type Caller, systemCaller } from './caller.ts';
import { allows, authorize, type Grant, type Scope } from './grant.ts';
import { authenticateByIssuer, isJwt, type TrustedIssuer } from './issuer.ts';
import { OIDC, SYSTEM } from './principal.ts';

/** A token's record; only the hash of its secret is kept. */
export interface Token {
  readonly format: 1;
  readonly id: string;
  readonly principal: string;
  readonly description: string;
  readonly grants: readonly Grant[];
  /** SHA-256 of the whole token, lower-case hex. The secret has 256 random bits, so a slow hash would add nothing. */
  readonly hash: string;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly expiresAt?: number;
  readonly revokedAt?: number;
}

/** What is shown of a token: everything but the hash. */
export type TokenInfo = Omit<Token, 'hash'>;

const TOKENS = 'tokens';
const tokenKey = (id: string): Key => ({ pk: TOKENS, sk: id });
const tokenChain = (id: string) => `token/${id}`;

/** Where the audit events of tokens are listed: a token is not of one workspace. */
export const TOKEN_WORKSPACE = 'default';

const hashOf = (token: string) => createHash('sha256').update(token).digest('hex');

/** `cairn_<id>_<secret>`; the id finds the record. A token that automation chose has another form and a fixed id. */
const FORM = /^cairn_([a-z0-9]{16})_[A-Za-z0-9_-]{43}$/;
const CHOSEN_ID = 'admin';
const idOf = (token: string) => FORM.exec(token)?.[1] ?? CHOSEN_ID;

/** Shortest token that automation may choose. */
export const CHOSEN_TOKEN_MIN = 16;

/**
 * Makes a token. A caller gives grants it has itself, so only an admin of all it grants can; and a principal that holds
 * tokens already only to an admin of all that those grant, so that nobody takes the name of someone who may more.
 * @returns the record, and the token itself: the only time it is seen
 */
export async function issueToken(
  ports: Ports,
  caller: Caller,
  input: { principal: string; description: string; grants: readonly Grant[]; expiresAt?: number | undefined },
): Promise<{ token: string; info: TokenInfo }> {
  for (const grant of input.grants) authorize(caller, 'admin', scopeOf(grant));
  await requireName(ports.table, caller, input.principal);
  const id = randomBytes(8).toString('hex');
  const token = `cairn_${id}_${randomBytes(32).toString('base64url')}`;
  const record: Token = {
    format: 1,
    id,
    principal: input.principal,
    description: input.description,
    grants: input.grants,
    hash: hashOf(token),
    createdAt: ports.clock.now(),
    createdBy: caller.principal,
    ...(input.expiresAt === undefined ? {} : { expiresAt: input.expiresAt }),
  };
  const info = withoutHash(record);
  await commit(ports, caller, { ...changeOf(record, 'token.created'), after: info }, [
    { put: { ...tokenKey(id), body: record }, if: 'absent' },
  ]);
  return { token, info };
}

const scopeOf = ({ workspace, models }: Grant): Scope =>
  models === '*' ? { workspace } : { workspace, name: models };

/** Whether the caller is an admin of all that the token grants. */
const administers = (caller: Caller, { grants }: Pick<Token, 'grants'>): boolean =>
  grants.every((grant) => allows(caller, 'admin', scopeOf(grant)));

/** Whether the caller may know of a token: its own principal's, and those whose grants it is admin of. */
export const seesToken = (caller: Caller, token: Pick<Token, 'principal' | 'grants'>): boolean =>
  token.principal === caller.principal || administers(caller, token);

/** Whether the caller, who sees a workspace's events, may see this one: those of tokens tell who may what elsewhere. */
export const seesEvent = (caller: Caller, chain: string, after: unknown): boolean =>
  !chain.startsWith(tokenChain('')) || seesToken(caller, after as TokenInfo);

/** Whether a reader of the name may take it for one that begins so. */
const looksLike = (principal: string, beginning: string): boolean =>
  principal
    .normalize('NFKC')
    .replace(/\p{Cf}/gu, '')
    .trimStart()
    .toLowerCase()
    .startsWith(beginning);

async function requireName(table: Table, caller: Caller, principal: string): Promise<void> {
  if (looksLike(principal, SYSTEM))
    throw new CairnError('INVALID_ARGUMENT', `principal must not begin with "${SYSTEM}".`, 'principal');
  if (looksLike(principal, OIDC) && principal !== caller.principal) {
    const detail = `principal must not begin with "${OIDC}": only whoever it is makes tokens for such a name.`;
    throw new CairnError('INVALID_ARGUMENT', detail, 'principal');
  }
  if (principal === caller.principal || allows(caller, 'admin', { workspace: '*' })) return;
  for await (const { body } of itemsOf(table, TOKENS)) {
    const token = body as Token;
    if (token.principal === principal && !administers(caller, token)) {
      const detail = `"${principal}" has a token whose grants ${caller.principal} is not admin of.`;
      throw new CairnError('PERMISSION_DENIED', detail, 'principal');
    }
  }
}

/**
 * The first admin's token: made once, or the one that automation chose, whose change replaces it.
 * @returns the token when it was made here and has to be shown
 */
export async function ensureAdminToken(ports: Ports, chosen?: string): Promise<string | undefined> {
  const caller = systemCaller('start', 'start');
  if (chosen === undefined) {
    const { items } = await ports.table.query({ pk: TOKENS, limit: 1 });
    if (items.length > 0) return undefined;
    const grants: Grant[] = [{ role: 'admin', workspace: '*', models: '*' }];
    return (
      await issueToken(ports, caller, { principal: 'admin', description: 'Made at the first start', grants })
    ).token;
  }
  const id = idOf(chosen);
  await exclusively(tokenChain(id), async () => {
    const item = await ports.table.get(tokenKey(id));
    const before = item?.body as Token | undefined;
    if (before?.hash === hashOf(chosen) && before.revokedAt === undefined) return;
    const record: Token = {
      format: 1,
      id,
      principal: 'admin',
      description: 'Set by CAIRN_ADMIN_TOKEN',
      grants: [{ role: 'admin', workspace: '*', models: '*' }],
      hash: hashOf(chosen),
      createdAt: ports.clock.now(),
      createdBy: caller.principal,
    };
    await commit(ports, caller, { ...changeOf(record, 'token.created'), after: withoutHash(record) }, [
      { put: { ...tokenKey(id), body: record }, if: item ? { rev: item.rev } : 'absent' },
    ]);
  });
  return undefined;
}

/** The first admin's token is the one that `chosen` answers, which is asked only while there is no token at all. */
export async function ensureFirstToken(ports: Ports, chosen: () => Promise<string>): Promise<void> {
  const { items } = await ports.table.query({ pk: TOKENS, limit: 1 });
  if (items.length === 0) await ensureAdminToken(ports, await chosen());
}

/**
 * Who sent this token: one of Cairn's, which is one read, or a JWT of the trusted issuer, which is none.
 * @throws CairnError `UNAUTHENTICATED`, the same for every cause but expiry and revocation; {@link authenticateByIssuer}
 */
export async function authenticate(
  ports: Pick<Ports, 'table' | 'clock'>,
  token: string,
  requestId: string,
  issuer?: TrustedIssuer,
): Promise<Caller> {
  if (issuer && isJwt(token)) return authenticateByIssuer(issuer, token, requestId);
  const record = (await ports.table.get(tokenKey(idOf(token))))?.body as Token | undefined;
  if (!record || !sameHash(record.hash, hashOf(token)))
    throw new CairnError('UNAUTHENTICATED', 'The token is not known.');
  if (record.revokedAt !== undefined) throw new CairnError('UNAUTHENTICATED', 'The token has been revoked.');
  if (record.expiresAt !== undefined && record.expiresAt <= ports.clock.now()) {
    throw new CairnError('UNAUTHENTICATED', 'The token has expired.');
  }
  const { principal, id, grants, expiresAt } = record;
  return { principal, tokenId: id, grants, requestId, ...(expiresAt === undefined ? {} : { expiresAt }) };
}

function sameHash(a: string, b: string): boolean {
  return timingSafeEqual(Buffer.from(a, 'hex'), Buffer.from(b, 'hex'));
}

/** A page of tokens by id, those that the caller may know of. */
export async function listTokens(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  page: PageRequest,
): Promise<ListPage<TokenInfo>> {
  const found = await ports.table.query({ pk: TOKENS, ...page });
  return listPage(found, (item) => {
    const info = withoutHash(item.body as Token);
    return seesToken(caller, info) ? info : undefined;
  });
}

/**
 * Revokes a token: the one that asks, others of its principal that may no more than it, and those whose grants the
 * caller is admin of. @throws CairnError `TOKEN_NOT_FOUND`
 */
export async function revokeToken(ports: Ports, caller: Caller, id: string, reason?: string): Promise<void> {
  await exclusively(tokenChain(id), async () => {
    const item = (await ports.table.get(tokenKey(id))) as Item<Token> | undefined;
    if (!item) throw new CairnError('TOKEN_NOT_FOUND', `There is no token "${id}".`, 'id');
    const own = item.body.principal === caller.principal;
    if (id !== caller.tokenId)
      for (const grant of item.body.grants) authorize(caller, own ? grant.role : 'admin', scopeOf(grant));
    if (item.body.revokedAt !== undefined) return;
    const revoked: Token = { ...item.body, revokedAt: ports.clock.now() };
    await commit(
      ports,
      caller,
      {
        ...changeOf(revoked, 'token.revoked'),
        reason,
        before: withoutHash(item.body),
        after: withoutHash(revoked),
      },
      [{ put: { ...tokenKey(id), body: revoked }, if: { rev: item.rev } }],
    );
  });
}

const withoutHash = ({ hash: _hash, ...info }: Token): TokenInfo => info;

const changeOf = (token: Token, action: string) => ({
  chain: tokenChain(token.id),
  workspace: TOKEN_WORKSPACE,
  action,
  subject: `${token.principal} (${token.id})`,
});
