import type { MiddlewareHandler } from 'hono';
import type { ApiEnv } from '../bind.ts';
import type { ApiDeps } from '../deps.ts';

export const RESOURCE_METADATA = '/.well-known/oauth-protected-resource';

/** Lets a 401 say where it is written whose tokens are taken (RFC 9728, section 5.1). */
export function namingMetadata({ publicUrl }: Pick<ApiDeps, 'publicUrl'>): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await next();
    const challenge = c.res.headers.get('www-authenticate');
    if (c.res.status !== 401 || challenge === null) return;
    const address = (publicUrl ?? new URL(c.req.url).origin) + RESOURCE_METADATA;
    const named = challenge.replace(/^Bearer realm="cairn"/, `$&, resource_metadata="${address}"`);
    c.res.headers.set('www-authenticate', named);
  };
}
