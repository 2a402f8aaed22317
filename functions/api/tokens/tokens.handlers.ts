import { issueToken, listTokens, revokeToken, type TokenInfo } from '../../../shared/access/token.ts';
import { CairnError } from '../../../shared/errors.ts';
import { apiPath, created, NO_CONTENT, ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { pageJson } from '../page.ts';
import { rfc3339 } from '../time.ts';
import * as routes from './tokens.routes.ts';

export function registerTokens(register: Register, { ports }: ApiDeps): void {
  register(routes.issueToken, async ({ body }, { caller }) => {
    const expiresAt = body.expiresAt === undefined ? undefined : Date.parse(body.expiresAt);
    if (expiresAt !== undefined && expiresAt <= ports.clock.now()) {
      throw new CairnError('INVALID_ARGUMENT', 'expiresAt must be in the future.', 'expiresAt');
    }
    const { token, info } = await issueToken(ports, caller, { ...body, expiresAt });
    return created({ token, ...tokenJson(info) }, apiPath('tokens', info.id), {
      'cache-control': 'no-store',
    });
  });

  register(routes.listTokens, async ({ query }, { caller }) => {
    const page = await listTokens(ports, caller, { limit: query.limit, after: query.cursor });
    return ok(pageJson(page, tokenJson));
  });

  register(routes.revokeToken, async ({ params, query }, { caller }) => {
    await revokeToken(ports, caller, params.token, query.reason);
    return NO_CONTENT;
  });

  register(routes.whoami, (_, { caller }) => {
    const { principal, tokenId, issuer, expiresAt, grants } = caller;
    return ok({ principal, tokenId, issuer, expiresAt: timeOf(expiresAt), grants });
  });
}

const tokenJson = (info: TokenInfo) => ({
  id: info.id,
  principal: info.principal,
  description: info.description,
  grants: info.grants,
  createdAt: rfc3339(info.createdAt),
  createdBy: info.createdBy,
  expiresAt: timeOf(info.expiresAt),
  revokedAt: timeOf(info.revokedAt),
});

const timeOf = (ms: number | undefined) => (ms === undefined ? undefined : rfc3339(ms));
