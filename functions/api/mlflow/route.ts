import type { IncomingMessage } from 'node:http';
import type * as z from 'zod';
import type { Caller } from '../../../shared/access/caller.ts';
import type { Ports } from '../../../shared/ports/ports.ts';
import type { VerifyLater } from '../../../shared/registry/verify-work.ts';

/** What a call of MLflow's REST API is answered from. */
export interface Call {
  readonly ports: Ports;
  readonly caller: Caller;
  readonly verifyLater?: VerifyLater | undefined;
  /** Of the header `X-MLFLOW-WORKSPACE`, else `default`. */
  readonly workspace: string;
  /** Where the client reached the service: `http://127.0.0.1:7070`. */
  readonly origin: string;
  readonly request: Request;
  /** The request's bytes before any web stream, on a server of Node. */
  readonly incoming?: IncomingMessage | undefined;
}

/** One call: the path below `/api/2.0/mlflow/`, with `:name` for a part and a last `*name` for the rest. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'PUT';
  readonly path: string;
  /** Answered without a token. */
  readonly open?: boolean;
  /** The body is no JSON: the handler reads it. */
  readonly bytes?: boolean;
  readonly input: z.ZodType;
  // biome-ignore lint/suspicious/noExplicitAny: `route` ties the handler to its schema
  readonly answer: (input: any, call: Call) => Promise<object>;
}

/** Answers with a JSON object, or with a Response as it is. */
export function route<Schema extends z.ZodType>(
  method: Route['method'],
  path: string,
  input: Schema,
  answer: (input: z.output<Schema>, call: Call) => Promise<object>,
  options: Pick<Route, 'open' | 'bytes'> = {},
): Route {
  return { method, path, input, answer, ...options };
}
