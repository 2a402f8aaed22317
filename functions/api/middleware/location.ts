import type { MiddlewareHandler } from 'hono';
import type { ApiEnv } from '../bind.ts';

/**
 * Answers name places on this host as the routes know them; where clients reach the routes below a path, as behind a stage
 * of an API gateway, the header has to say so.
 */
export function locationBelow(base: string): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    await next();
    const location = c.res.headers.get('location');
    if (location?.startsWith('/')) c.res.headers.set('location', base + location);
  };
}
