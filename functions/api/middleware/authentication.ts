import type { MiddlewareHandler } from 'hono';
import { presentedToken } from '../../../shared/access/presented-token.ts';
import { authenticate } from '../../../shared/access/token.ts';
import type { ApiEnv } from '../bind.ts';
import type { ApiDeps } from '../deps.ts';

/**
 * Lets only requests with a good token on, but for the open paths. The token comes as `Bearer`, or as the password of
 * `Basic` with any user name, as git, MLflow and OCI clients send it.
 */
export function authentication(
  { ports, issuer }: Pick<ApiDeps, 'ports' | 'issuer'>,
  open: { has(path: string): boolean },
): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (!open.has(c.req.path)) {
      const token = presentedToken(c.req.raw.headers.get('authorization'));
      c.set('caller', await authenticate(ports, token, c.get('requestId'), issuer));
    }
    return next();
  };
}
