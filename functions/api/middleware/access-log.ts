import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { ApiEnv } from '../bind.ts';
import type { ApiDeps } from '../deps.ts';

/** One line for each request at `info`: never a query, a header or a body, which may hold secrets. */
export function accessLog(logger: ApiDeps['logger']): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (!logger.isLevelEnabled('info')) return next();
    const start = performance.now();
    await next();
    logger.info(
      {
        method: c.req.method,
        route: routePath(c, -1),
        status: c.res.status,
        ms: Math.round((performance.now() - start) * 100) / 100,
        requestId: c.get('requestId'),
        principal: c.get('caller')?.principal,
      },
      'request',
    );
  };
}
