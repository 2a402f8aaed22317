import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Role } from '../../../shared/access/role.ts';
import { type Api, everything, openApi, V1 } from './api-fixture.ts';

export const DIGITS_ONNX = readFileSync(join(import.meta.dirname, '../../models/digits/digits-v1.onnx'));

interface Options {
  readonly token?: string;
  /** Sent as it is instead of a token; null sends none. */
  readonly authorization?: string | null;
  readonly headers?: Record<string, string>;
  readonly raw?: Uint8Array<ArrayBuffer>;
}

interface Answered {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

export interface MlflowApi {
  readonly ports: Api['ports'];
  readonly admin: string;
  call(method: string, path: string, options?: Options & { body?: object }): Promise<Answered>;
  get(path: string, options?: Options): Promise<Answered>;
  post(path: string, body: object, options?: Options): Promise<Answered>;
  put(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<Answered>;
  native(method: string, path: string, body?: object, token?: string): Promise<Answered>;
  /** A GET as the admin, redirects followed. */
  fetch(url: string): Promise<Response>;
  token(role: Role): Promise<string>;
  /** A new run in an experiment of its own, and where its artifacts are. */
  run(): Promise<{ run: string; experiment: string; root: string }>;
  close(): Promise<void>;
}

/** MLflow's door on the real local adapters. */
export async function openMlflow(): Promise<MlflowApi> {
  const api = await openApi();
  let experiments = 0;
  const call: MlflowApi['call'] = async (method, path, options = {}) => {
    const authorization =
      options.authorization === undefined ? `Bearer ${options.token ?? api.admin}` : options.authorization;
    const below = path.startsWith('mlflow-artifacts/') ? path : `mlflow/${path}`;
    const answer = await api.app.request(`/api/2.0/${below}`, {
      method,
      headers: {
        ...(authorization === null ? {} : { authorization }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.raw === undefined ? {} : { body: options.raw }),
    });
    const text = await answer.text();
    return { status: answer.status, json: text === '' ? undefined : JSON.parse(text) };
  };
  const post: MlflowApi['post'] = (path, body, options) => call('POST', path, { ...options, body });
  return {
    ports: api.ports,
    admin: api.admin,
    call,
    post,
    get: (path, options) => call('GET', path, options),
    put: async (path, raw) => {
      const answer = await call('PUT', `mlflow-artifacts/artifacts/${path}`, { raw });
      if (answer.status !== 200) throw new Error(JSON.stringify(answer));
      return answer;
    },
    native: async (method, path, body, token) => {
      const where = path === '' ? '/api/v1/workspaces' : `${V1}/${path}`;
      return api.call(method, where, {
        ...(body === undefined ? {} : { body }),
        ...(token === undefined ? {} : { token }),
      });
    },
    async fetch(url) {
      const { pathname } = new URL(url);
      const answer = await api.app.request(pathname, { headers: { authorization: `Bearer ${api.admin}` } });
      return fetch(answer.headers.get('location') ?? '');
    },
    token: (role) => api.token(role, everything(role)),
    async run() {
      const { json } = await post('experiments/create', { name: `experiment ${++experiments}` });
      const experiment = json.experiment_id;
      const created = await post('runs/create', { experiment_id: experiment, start_time: 1 });
      const run = created.json.run.info.run_id;
      return { run, experiment, root: `${experiment}/${run}/artifacts` };
    },
    close: api.close,
  };
}
