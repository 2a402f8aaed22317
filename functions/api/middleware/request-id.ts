import type { MiddlewareHandler } from 'hono';
import { uuidv7 } from 'uuidv7';
import type { ApiEnv } from '../bind.ts';

const SANE = /^[\w.:-]{8,128}$/;

/** An API gateway's own id of the request (hono/aws-lambda's bindings). */
interface Bindings {
  readonly requestContext?: { readonly requestId?: string };
}

/** Gives the request an id: the one that it came with in `x-request-id` if that is fit for a log, else the gateway's or a new one. */
export const requestId: MiddlewareHandler<ApiEnv> = (c, next) => {
  const sent = c.req.raw.headers.get('x-request-id');
  const { requestContext }: Bindings = c.env ?? {};
  c.set('requestId', sent !== null && SANE.test(sent) ? sent : (requestContext?.requestId ?? uuidv7()));
  return next();
};
