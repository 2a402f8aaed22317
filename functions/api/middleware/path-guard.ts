import type { Context, MiddlewareHandler } from 'hono';
import type { ApiEnv } from '../bind.ts';
import type { Contract } from '../contract.ts';
import { pathOf, refuseBrokenPath } from '../request-path.ts';

/** What servers that keep the request's target as it was sent hand over: bindings of @hono/node-server and hono/aws-lambda. */
interface Bindings {
  readonly incoming?: { readonly url?: string };
  readonly event?: { readonly path?: string };
}

/** The request's target, not yet normalised where the server keeps it. */
export function sentTarget(c: Context<ApiEnv>): string {
  const { incoming, event }: Bindings = c.env ?? {};
  return incoming?.url ?? event?.path ?? c.req.raw.url;
}

const SUSPICIOUS = /\/\/|\/$|\/\.|\/%2e|%(?![0-9a-f]{2})|%[89a-f]/i;

/** Refuses paths that would reach another route than they name, before routing; see {@link refuseBrokenPath}. */
export function pathGuard(contracts: readonly Contract[]): MiddlewareHandler<ApiEnv> {
  return (c, next) => {
    const path = pathOf(sentTarget(c));
    if (SUSPICIOUS.test(path)) refuseBrokenPath(path, contracts);
    return next();
  };
}
