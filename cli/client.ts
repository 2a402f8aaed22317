import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { List } from './api.ts';
import { CliError, EXIT, exitCodeOf, type Problem } from './cli-error.ts';
import {
  isNotThere,
  isTransientStatus,
  readText,
  retryAfterOf,
  send,
  Transient,
  unreachable,
  withRetries,
} from './http.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below the server's address, percent-encoded: see {@link path}. */
  readonly path: string;
  readonly query?: Query | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Makes a write repeatable; a fresh one by default, null for a POST that must be sent once. */
  readonly idempotencyKey?: string | null | undefined;
  /** Milliseconds of silence to bear. */
  readonly silence?: number;
  /** Sends it once: whoever asks wants to know how it is now. */
  readonly once?: boolean;
}

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface Answer<T> {
  readonly body: T;
  readonly status: number;
  readonly etag?: string;
  /** The server's clock, from the Date header. */
  readonly date?: string;
}

/** Calls the API of one server with one token. Every method throws CliError, with the server's own problem where there is one. */
export interface Client {
  readonly url: URL;
  /** Repeats what is safe to repeat: 429, 502, 503, 504 and broken connections of any call but a POST without a key. */
  call<T>(request: ApiRequest): Promise<Answer<T>>;
  get<T>(path: string, query?: Query): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  put<T>(path: string, body: unknown): Promise<T>;
  delete(path: string, query?: Query): Promise<void>;
  /** A GET whose body is read as it comes; sent once. */
  stream(path: string, headers?: Readonly<Record<string, string>>): Promise<IncomingMessage>;
  /** Follows the cursors until `limit` items are there. */
  list<T>(path: string, query: Query, limit: number): Promise<List<T>>;
}

/** Percent-encodes the values: path`/models/${'a b'}`. */
export const path = (texts: TemplateStringsArray, ...values: readonly (string | number)[]) =>
  String.raw({ raw: texts }, ...values.map((value) => encodeURIComponent(value)));

const PAGE = 1000;

export function makeClient(options: {
  url: URL;
  token?: string | undefined;
  version: string;
  signal: AbortSignal;
}): Client {
  const { url, token, version, signal } = options;
  const state = { reached: false };

  const credentials: Record<string, string> = {
    'user-agent': `cairn/${version}`,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };

  const call = <T>(request: ApiRequest): Promise<Answer<T>> => {
    const { method, body, idempotencyKey = randomUUID() } = request;
    const repeatable = !request.once && (method !== 'POST' || idempotencyKey !== null);
    const target = addressOf(url, request);
    const headers: Record<string, string> = {
      accept: 'application/json',
      ...credentials,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(method === 'GET' || idempotencyKey === null ? {} : { 'idempotency-key': idempotencyKey }),
      ...request.headers,
    };
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    return withRetries(signal, async () => {
      let answer: IncomingMessage;
      let text: string;
      try {
        answer = await send({
          method,
          url: target,
          headers,
          signal,
          ...(payload && { body: payload }),
          ...(request.silence !== undefined && { silence: request.silence }),
        });
        text = await readText(answer);
      } catch (error) {
        signal.throwIfAborted();
        const failure = unreachable(url, error);
        // A server that was there and is gone is being restarted; one that never was needs a person.
        if (repeatable && (state.reached || !isNotThere(error))) throw new Transient(failure);
        throw failure;
      }
      state.reached = true;
      const status = answer.statusCode ?? 0;
      if (status >= 200 && status < 300) return answerOf<T>(answer, text);
      const failure = failureOf(url, answer, text);
      if (repeatable && (isTransientStatus(status) || isUnderWay(failure)))
        throw new Transient(failure, retryAfterOf(answer));
      throw failure;
    });
  };

  const bodyOf = async <T>(request: ApiRequest) => (await call<T>(request)).body;
  return {
    url,
    call,
    get: (path, query) => bodyOf({ method: 'GET', path, query }),
    post: (path, body) => bodyOf({ method: 'POST', path, body }),
    put: (path, body) => bodyOf({ method: 'PUT', path, body }),
    delete: (path, query) => bodyOf({ method: 'DELETE', path, query }),
    async stream(path, more) {
      const target = addressOf(url, { method: 'GET', path });
      const answer = await send({
        method: 'GET',
        url: target,
        headers: { ...credentials, ...more },
        signal,
      }).catch((error) => {
        signal.throwIfAborted();
        throw unreachable(url, error);
      });
      if (answer.statusCode === 200) return answer;
      throw failureOf(url, answer, await readText(answer));
    },
    async list<T>(path: string, query: Query, limit: number) {
      const items: T[] = [];
      let cursor: string | undefined;
      do {
        const page: List<T> = await bodyOf({
          method: 'GET',
          path,
          query: { ...query, limit: Math.min(PAGE, limit - items.length), cursor },
        });
        items.push(...page.items);
        cursor = page.nextCursor;
      } while (cursor !== undefined && items.length < limit);
      return { items, ...(cursor === undefined ? {} : { nextCursor: cursor }) };
    },
  };
}

/** The first sending of a repeated request is still at work: its answer comes under the same key. */
export const isUnderWay = ({ problem }: CliError) =>
  problem.code === 'CONFLICT' && problem.field === 'Idempotency-Key';

function addressOf(base: URL, { path, query = {} }: ApiRequest): URL {
  const url = new URL(base.href.replace(/\/$/, '') + path);
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

function answerOf<T>(answer: IncomingMessage, text: string): Answer<T> {
  const { etag, date } = answer.headers;
  return {
    body: parse(text) as T,
    status: answer.statusCode ?? 0,
    ...(etag === undefined ? {} : { etag }),
    ...(date === undefined ? {} : { date }),
  };
}

function parse(text: string): unknown {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    const detail = `The server answered something that is not JSON: ${text.slice(0, 200)}`;
    throw new CliError({
      code: 'UNEXPECTED_ANSWER',
      detail,
      fix: 'Check that the address is a Cairn server’s.',
    });
  }
}

function problemOf(text: string): (Partial<Problem> & { error?: unknown }) | undefined {
  try {
    const problem: unknown = JSON.parse(text);
    return typeof problem === 'object' && problem !== null ? problem : undefined;
  } catch {
    return undefined;
  }
}

/** The server's problem document as an error; also for gateways that answer in their own words. */
export function failureOf(url: URL, answer: IncomingMessage, text: string): CliError {
  const status = answer.statusCode ?? 0;
  const requestId = answer.headers['x-request-id'];
  const problem = problemOf(text);
  if (typeof problem?.code === 'string' && typeof problem.detail === 'string') {
    const known = { ...problem, code: problem.code, detail: problem.detail, status };
    return new CliError(
      known.requestId === undefined && typeof requestId === 'string' ? { ...known, requestId } : known,
      exitCodeOf(status),
    );
  }
  // Open Inference Protocol v2: a failed inference answers {"error": "…"}.
  if (typeof problem?.error === 'string') {
    return new CliError({ code: 'INFERENCE_FAILED', detail: problem.error, status }, exitCodeOf(status));
  }
  if ([502, 503, 504].includes(status)) return unreachable(url, new Error(`HTTP ${status}`));
  const words = text
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200);
  const detail = `${url.host} answered ${status}${words ? `: ${words}` : '.'}`;
  const fix = 'Check that the address is a Cairn server’s: `cairn doctor`.';
  return new CliError(
    { code: `HTTP_${status}`, detail, fix, status },
    status < 500 ? exitCodeOf(status) : EXIT.failed,
  );
}
