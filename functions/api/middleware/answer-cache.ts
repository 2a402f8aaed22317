import type { MiddlewareHandler } from 'hono';
import type { Caller } from '../../../shared/access/caller.ts';
import type { Clock } from '../../../shared/ports/clock.ts';
import { type ApiEnv, respond } from '../bind.ts';
import type { Answer } from '../contract.ts';
import { sentTarget } from './path-guard.ts';

interface Kept {
  readonly caller: Caller;
  readonly answer: Answer;
  readonly until: number;
}

/** A token that expires is refused this much later at most. Revoking it is a write, which is seen at once. */
const LIFETIME_MS = 1000;
const KEPT_MAX = 1000;
const TEXT_MAX = 16_384;

/**
 * Answers a GET as it was answered to the same token before, as long as nothing has been written since: authentication
 * and the reads of a small answer cost several times what sending it does. Only routes whose contract is `cached`.
 */
export function answerCache(clock: Clock, revision: () => number): MiddlewareHandler<ApiEnv> {
  const kept = new Map<string, Kept>();
  let keptAt = revision();
  return (c, next) => {
    const { method, headers } = c.req.raw;
    const authorization = headers.get('authorization');
    if (method !== 'GET' || authorization === null) return next();
    const now = revision();
    if (now !== keptAt) {
      kept.clear();
      keptAt = now;
    }
    const name = `${authorization} ${sentTarget(c)}`;
    const found = kept.get(name);
    if (found && found.until > clock.now()) {
      c.set('caller', found.caller);
      return Promise.resolve(respond(found.answer, c.get('requestId')));
    }
    c.set('remember', (answer) => {
      if (revision() !== now) return;
      const text = JSON.stringify(answer.json);
      if (text.length > TEXT_MAX) return;
      if (kept.size >= KEPT_MAX) kept.clear();
      const headers = { 'content-type': 'application/json', ...answer.headers };
      kept.set(name, {
        caller: c.get('caller'),
        answer: { status: answer.status, text, headers },
        until: clock.now() + LIFETIME_MS,
      });
    });
    return next();
  };
}
