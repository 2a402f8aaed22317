import type { Context, Hono } from 'hono';
import type * as z from 'zod';
import type { Caller } from '../../shared/access/caller.ts';
import { CairnError } from '../../shared/errors.ts';
import type { Answer, Contract, Handler, Input } from './contract.ts';
import { parseIfMatch } from './etag.ts';
import { invalidInput } from './invalid-input.ts';
import { parseJson, readBody } from './request-body.ts';
import { pathOf } from './request-path.ts';

/** What the middleware leaves for the handlers. */
export interface ApiEnv {
  Variables: { requestId: string; caller: Caller; remember?: (answer: Answer) => void };
}

/** Answers a repeated request; see {@link idempotency} in middleware/idempotency.ts. */
export type Idempotency = (
  request: { caller: Caller; key: string; method: string; path: string; body: string; origin: Request },
  run: () => Promise<Answer>,
) => Promise<Answer | Response>;

const BODY_LIMIT = 6_000_000;

/** Adds the contract's route: a request that fits the contract reaches the handler, any other is refused by field. */
export function bind<C extends Contract>(
  app: Hono<ApiEnv>,
  contract: C,
  handler: Handler<C>,
  idempotent: Idempotency,
): void {
  const params = remembering(parser<Input<C>['params']>(contract.params));
  const query = parser<Input<C>['query']>(contract.query);
  const body = parser<Input<C>['body']>(contract.body);
  const nobody = {} as Input<C>['body'];

  app.on([contract.method.toUpperCase()], [honoPath(contract)], async (c) => {
    const { raw } = c.req;
    const { url, headers } = raw;
    const requestId = c.get('requestId');
    const caller = c.get('caller');
    const request = { caller, requestId, origin: originOf(url), header: (name: string) => headers.get(name) };
    const parsed = {
      params: params(c.req.path, () => c.req.param()),
      query: query(url.includes('?') ? queryOf(c) : {}, 'query'),
      ifMatch: contract.ifMatch ? parseIfMatch(headers.get('if-match')) : undefined,
    };
    if (contract.body === undefined) {
      const answer = await handler({ ...parsed, body: nobody }, request);
      if (contract.cached) c.get('remember')?.(answer as Answer);
      return respond(answer, requestId);
    }
    const key = keyOf(contract, headers);
    const text =
      (await readBody(raw, contract.bodyLimit ?? BODY_LIMIT)) ?? (contract.bodyOptional ? '{}' : '');
    const input = { ...parsed, body: body(parseJson(text), 'body') };
    if (key === undefined) return respond(await handler(input, request), requestId);
    const run = async () => (await handler(input, request)) as Answer;
    const { method } = contract;
    return respond(
      await idempotent({ caller, key, method, path: pathOf(url), body: text, origin: raw }, run),
      requestId,
    );
  });
}

/** Paths whose parameters are kept parsed, for each route. */
const REMEMBERED = 1000;

/** Parses a path's parameters once: clients ask for the same few resources again and again. */
function remembering<Output>(
  parse: (value: unknown, whole: string) => Output,
): (path: string, params: () => unknown) => Output {
  const known = new Map<string, Output>();
  return (path, params) => {
    const found = known.get(path);
    if (found) return found;
    const parsed = parse(params(), 'path');
    if (known.size === REMEMBERED) known.clear();
    known.set(path, parsed);
    return parsed;
  };
}

/** Parses by the schema, strictly. Without a schema nothing may be sent. */
function parser<Output>(schema: z.ZodType | undefined): (value: unknown, whole: string) => Output {
  return (value, whole) => {
    if (schema === undefined) {
      const [field] = Object.keys(value as object);
      if (field === undefined) return value as Output;
      throw new CairnError('INVALID_ARGUMENT', `There is no parameter "${field}".`, field);
    }
    const result = schema.safeParse(value);
    if (result.success) return result.data as Output;
    throw invalidInput(result.error, schema, whole);
  };
}

/** @throws CairnError `INVALID_ARGUMENT` for a parameter that stands twice */
function queryOf(c: Context<ApiEnv>): Record<string, string> {
  const { searchParams } = new URL(c.req.url);
  for (const name of searchParams.keys()) {
    if (searchParams.getAll(name).length > 1)
      throw new CairnError('INVALID_ARGUMENT', `${name} must stand once.`, name);
  }
  return Object.fromEntries(searchParams);
}

/** @throws CairnError `INVALID_ARGUMENT` for a key that is malformed, or where the answer must not be kept */
function keyOf(contract: Contract, headers: Headers): string | undefined {
  if (contract.idempotency === undefined) return undefined;
  const key = headers.get('idempotency-key');
  if (key === null) return undefined;
  const invalid = (detail: string) => new CairnError('INVALID_ARGUMENT', detail, 'Idempotency-Key');
  if (contract.idempotency === 'refused') {
    throw invalid(
      'Idempotency-Key is not taken here: the answer is a secret that is shown once and must not be kept.',
    );
  }
  if (!/^[\x21-\x7e]{1,255}$/.test(key))
    throw invalid('Idempotency-Key must be 1 to 255 visible ASCII characters.');
  return key;
}

/**
 * Headers stay a plain object, which @hono/node-server writes without making a Headers of it: a third of the time of a
 * small answer.
 */
export function respond(answer: Answer | Response, requestId: string): Response {
  if (answer instanceof Response) return answer;
  const headers: Record<string, string> = { 'x-request-id': requestId, ...answer.headers };
  if (answer.json !== undefined) {
    headers['content-type'] = 'application/json';
    return new Response(JSON.stringify(answer.json), { status: answer.status, headers });
  }
  return new Response(answer.text ?? null, { status: answer.status, headers });
}

/** `{name}` → `:name`. */
function honoPath({ path, greedy }: Contract): string {
  const colons = path.replaceAll(/\{(\w+)\}/g, ':$1');
  return greedy ? `${colons}{.+}` : colons;
}

const originOf = (url: string) => url.slice(0, url.indexOf('/', 8));
