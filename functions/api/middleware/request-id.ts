import type { MiddlewareHandler } from 'hono';
import { uuidv7 } from 'uuidv7';
import type { ApiEnv } from '../bind.ts';

const SANE = /^[\w.:-]{8,128}$/;

/** Gives the request an id: the one that it came with in `x-request-id` if that is fit for a log, else a new one. */
export const requestId: MiddlewareHandler<ApiEnv> = (c, next) => {
  const sent = c.req.raw.headers.get('x-request-id');
  c.set('requestId', sent !== null && SANE.test(sent) ? sent : uuidv7());
  return next();
};
