import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import * as aliases from '../../../functions/api/aliases/aliases.routes.ts';
import { createApp } from '../../../functions/api/app.ts';
import * as approvals from '../../../functions/api/approvals/approvals.routes.ts';
import * as audit from '../../../functions/api/audit/audit.routes.ts';
import type { Contract } from '../../../functions/api/contract.ts';
import * as deleted from '../../../functions/api/deleted/deleted.routes.ts';
import type { ApiDeps } from '../../../functions/api/deps.ts';
import { renderDocs } from '../../../functions/api/docs-page.ts';
import * as endpoints from '../../../functions/api/endpoints/endpoints.routes.ts';
import * as files from '../../../functions/api/files/files.routes.ts';
import * as models from '../../../functions/api/models/models.routes.ts';
import { matches } from '../../../functions/api/request-path.ts';
import * as search from '../../../functions/api/search/search.routes.ts';
import * as system from '../../../functions/api/system/system.routes.ts';
import * as tokens from '../../../functions/api/tokens/tokens.routes.ts';
import * as uploads from '../../../functions/api/uploads/uploads.routes.ts';
import * as versions from '../../../functions/api/versions/versions.routes.ts';
import * as webhooks from '../../../functions/api/webhooks/webhooks.routes.ts';
import * as workspaces from '../../../functions/api/workspaces/workspaces.routes.ts';
import type { Grant } from '../../../shared/access/grant.ts';
import { issueToken } from '../../../shared/access/token.ts';
import { openAlarmEngine } from '../../../shared/adapters/local/alarm-engine.ts';
import { ERRORS, type ErrorCode } from '../../../shared/errors.ts';
import type { DomainEvent } from '../../../shared/ports/event-bus.ts';
import { registeredVersions } from '../../../shared/serving/registered-versions.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const FEATURES = [
  workspaces,
  models,
  versions,
  files,
  uploads,
  aliases,
  approvals,
  endpoints,
  deleted,
  audit,
  tokens,
  webhooks,
  search,
  system,
];

/** Every route's contract. */
export const CONTRACTS: readonly Contract[] = FEATURES.flatMap((feature) =>
  Object.values(feature).filter(
    (one): one is Contract & typeof one => typeof one === 'object' && 'operationId' in one,
  ),
);

export interface Called {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests read answers of every shape, which their contracts have checked
  readonly json: any;
}

export interface CallOptions {
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array<ArrayBuffer>;
  readonly token?: string | null;
  readonly headers?: Record<string, string>;
}

export interface Api {
  readonly app: ReturnType<typeof createApp>;
  readonly ports: LocalPorts;
  readonly admin: string;
  readonly log: { level: string; fields: Record<string, unknown>; text: string }[];
  /** A new token for someone. */
  token(principal: string, ...grants: Grant[]): Promise<string>;
  /** Sends a request as the admin unless told otherwise, and holds the answer against its contract. */
  call(method: string, path: string, options?: CallOptions): Promise<Called>;
  emit(event: DomainEvent): void;
  close(): Promise<void>;
}

export const everything = (role: Grant['role']): Grant => ({ role, workspace: '*', models: '*' });

/** The API on the real local adapters. */
export async function openApi(change: (deps: ApiDeps) => ApiDeps = (deps) => deps): Promise<Api> {
  const ports = await openLocalPorts();
  const alarms = await openAlarmEngine({
    clock: ports.clock,
    path: join(ports.dir, 'alarms.json'),
    notify: async () => {},
    onError: (error) => {
      throw error;
    },
  });
  const log: Api['log'] = [];
  const listeners = new Set<(event: DomainEvent) => void>();
  const write = (level: string) => (fields: object, text?: string) => {
    log.push({ level, fields: fields as Record<string, unknown>, text: text ?? '' });
  };
  const deps: ApiDeps = {
    ports,
    alarms,
    serving: {
      versions: registeredVersions(ports),
      platform: {
        logs: async () => [{ at: ports.clock.now(), revision: 1, replica: 'r1-0', message: 'ready' }],
      },
    },
    logger: {
      info: write('info'),
      error: write('error'),
      isLevelEnabled: () => true,
    } as unknown as ApiDeps['logger'],
    version: '1.2.3',
    metrics: async () => '# HELP up Up\n',
    docs: async () => renderDocs,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  const app = createApp(change(deps));
  const token: Api['token'] = async (principal, ...grants) => {
    const input = { principal, description: '', grants };
    return (await issueToken(ports, someone('root', 'admin'), input)).token;
  };
  const admin = await token('admin', everything('admin'));

  return {
    app,
    ports,
    admin,
    log,
    token,
    async call(method, path, options = {}) {
      const sent = options.token === undefined ? admin : options.token;
      const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
      const response = await app.request(path, {
        method,
        headers: {
          ...(sent === null ? {} : { authorization: `Bearer ${sent}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...options.headers,
        },
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      const type = response.headers.get('content-type') ?? '';
      const json = type.includes('json') ? JSON.parse(text) : text;
      expectContract(method, path, response, json);
      return { status: response.status, headers: response.headers, json };
    },
    emit: (event) => {
      for (const listener of listeners) listener(event);
    },
    close: () => ports.close(),
  };
}

/** Fails when an answer is not what the route's contract says. */
function expectContract(method: string, path: string, response: Response, json: unknown): void {
  expect(response.headers.get('x-request-id')).toBeTruthy();
  if (response.status >= 400) {
    if (response.status !== 503 || path !== '/readyz') expectProblem(response, json);
    return;
  }
  const plain = path.split('?')[0] ?? '';
  const contract = CONTRACTS.find((one) => one.method === method.toLowerCase() && matches(one, plain));
  expect(contract, `${method} ${plain} has a contract`).toBeDefined();
  const answer = contract?.answers[response.status];
  expect(answer, `${contract?.operationId} can answer ${response.status}`).toBeDefined();
  if (answer?.schema && !answer.mediaType) answer.schema().parse(json);
}

function expectProblem(response: Response, json: unknown): void {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const problem = json as { code: ErrorCode; status: number };
  expect(problem).toMatchObject({
    type: `https://cairn.invalid/errors/${problem.code}`,
    title: expect.any(String),
    status: response.status,
    detail: expect.any(String),
    fix: ERRORS[problem.code].fix,
    requestId: response.headers.get('x-request-id'),
  });
  expect(ERRORS[problem.code].status).toBe(response.status);
}

export const V1 = '/api/v1/workspaces/default';
const ONNX = readFileSync(join(import.meta.dirname, '../../models/digits/digits-v1.onnx'));
/** A file that can be deployed. */
export const onnxFile = { path: 'model.onnx', content: ONNX.toString('base64') };
export const textFile = (text = 'hello', path = 'notes.txt') => ({ path, text });
