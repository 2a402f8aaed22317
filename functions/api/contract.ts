import type * as z from 'zod';
import type { Caller } from '../../shared/access/caller.ts';
import type { ErrorCode } from '../../shared/errors.ts';

/** The base path of everything but the routes about the service itself. */
export const API = '/api/v1';

export const TAGS = {
  workspaces:
    'The tenants: grants, models and the audit trail belong to one. `default` is there from the start.',
  models: 'Registered models. Each is a name for a Git repository and a storage prefix of its own.',
  versions: 'Immutable commits of a model, numbered 1, 2, 3 …',
  files: 'The files of a version. Bytes travel by signed URLs, never through the API.',
  uploads: 'Versions whose files are sent part by part, and resumed part by part after an interruption.',
  aliases: 'Movable names for versions, moved by compare-and-swap; every move is kept.',
  approvals: 'Decisions on versions by someone other than their author.',
  endpoints: 'The stable addresses that clients call for predictions, their rollouts and rollbacks.',
  tracking:
    'Experiments, runs and logged models: MLflow’s clients make them at /api/2.0/mlflow; here is what those cannot do.',
  audit: 'Who did what, when and why, as hash chains that nobody can rewrite; and what happens now.',
  tokens: 'Who may do what.',
  webhooks: 'Addresses that are told what happens, signed as Standard Webhooks (standardwebhooks.com) says.',
  search: 'Finding models.',
  system: 'The service itself.',
} as const;

/** What a route takes and gives: what validates a request is also what documents it. */
export interface Contract {
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  /** With `{name}` for a parameter. */
  readonly path: string;
  /** The last parameter takes all the rest of the path, slashes too. */
  readonly greedy?: true;
  readonly operationId: string;
  readonly tag: keyof typeof TAGS;
  readonly summary: string;
  readonly description?: string;
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** A request without a body counts as `{}`. */
  readonly bodyOptional?: true;
  /** Bytes; 6 MB without it. */
  readonly bodyLimit?: number;
  readonly ifMatch?: true;
  /** `stored`: a repeat with the same Idempotency-Key gets the first answer. `refused`: the answer is a secret that must not be kept. */
  readonly idempotency?: 'stored' | 'refused';
  /** The answer depends on nothing but the table: see middleware/answer-cache.ts. */
  readonly cached?: true;
  /** Needs no token. */
  readonly open?: true;
  readonly answers: Readonly<Record<number, AnswerContract>>;
  /** Besides those that every route can answer. */
  readonly errors?: readonly ErrorCode[];
}

export interface AnswerContract {
  readonly description: string;
  readonly schema?: () => z.ZodType;
  /** Where it is not JSON. */
  readonly mediaType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

type Parsed<C, Part extends string> = C extends { readonly [P in Part]: infer S extends z.ZodType }
  ? z.output<S>
  : Record<never, never>;

/** A request that fits its contract. */
export interface Input<C extends Contract> {
  readonly params: Parsed<C, 'params'>;
  readonly query: Parsed<C, 'query'>;
  readonly body: Parsed<C, 'body'>;
  /** The revision that the request wants to change; `*` is any. */
  readonly ifMatch: number | '*' | undefined;
}

/** In which request a handler runs. */
export interface RequestContext {
  readonly caller: Caller;
  readonly requestId: string;
  /** Scheme, host and port that the client asked. */
  readonly origin: string;
  readonly header: (name: string) => string | null;
}

/** What a handler answers: JSON, or a text of another type. */
export interface Answer {
  readonly status: number;
  readonly json?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Handler<C extends Contract> = (
  input: Input<C>,
  request: RequestContext,
) => Promise<Answer | Response> | Answer | Response;

/** Adds a route to the app. */
export type Register = <C extends Contract>(contract: C, handler: Handler<C>) => void;

export const ok = (json: unknown, headers?: Readonly<Record<string, string>>): Answer =>
  headers === undefined ? { status: 200, json } : { status: 200, json, headers };

/** @param location path of what was made; its parts already encoded */
export const created = (
  json: unknown,
  location: string,
  headers: Readonly<Record<string, string>> = {},
): Answer => ({
  status: 201,
  json,
  headers: { ...headers, location },
});

export const NO_CONTENT: Answer = { status: 204 };

/** A path of the API with its parts encoded. */
export const apiPath = (...parts: readonly (string | number)[]): string =>
  [API, ...parts.map((part) => encodeURIComponent(part))].join('/');
