import type { MiddlewareHandler } from 'hono';
import { authenticate } from '../../../shared/access/token.ts';
import { CairnError } from '../../../shared/errors.ts';
import type { Ports } from '../../../shared/ports/ports.ts';
import type { ApiEnv } from '../bind.ts';

/**
 * Lets only requests with a good token on, but for the open paths. The token comes as `Bearer`, or as the password of
 * `Basic` with any user name, as git, MLflow and OCI clients send it.
 */
export function authentication(
  ports: Pick<Ports, 'table' | 'clock'>,
  open: { has(path: string): boolean },
): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (!open.has(c.req.path)) {
      const token = tokenIn(c.req.raw.headers.get('authorization'));
      c.set('caller', await authenticate(ports, token, c.get('requestId')));
    }
    return next();
  };
}

function tokenIn(header: string | null): string {
  if (header === null) throw new CairnError('UNAUTHENTICATED', 'The request has no token.', 'Authorization');
  const [, scheme, credentials] = /^(Bearer|Basic) +(\S+) *$/i.exec(header) ?? [];
  if (scheme === undefined || credentials === undefined) {
    throw new CairnError(
      'UNAUTHENTICATED',
      'Authorization must be `Bearer <token>`, or `Basic` with the token as password.',
      'Authorization',
    );
  }
  if (scheme.toLowerCase() === 'bearer') return credentials;
  const pair = Buffer.from(credentials, 'base64').toString();
  return pair.slice(pair.indexOf(':') + 1);
}
