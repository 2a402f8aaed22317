import { createHash } from 'node:crypto';
import type { MiddlewareHandler } from 'hono';
import type { ApiEnv } from '../bind.ts';
import { sentTarget } from './path-guard.ts';

/** Runs a request that only reads, under a name that the same request of the same token has again. */
export type During = (name: string, request: () => Promise<void>) => Promise<void>;

/** Lets a table that is far away read ahead what a GET will need: see shared/adapters/aws/read-ahead.ts. */
export function readingAhead(during: During): MiddlewareHandler<ApiEnv> {
  return (c, next) => {
    const { method, headers } = c.req.raw;
    if (method !== 'GET') return next();
    const hash = createHash('sha256').update(`${headers.get('authorization')} ${sentTarget(c)}`);
    return during(hash.digest('base64'), next);
  };
}
