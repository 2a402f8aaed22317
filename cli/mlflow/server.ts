import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { CliError, exitCodeOf } from '../cli-error.ts';
import { isTransientStatus, readText, send, Transient, unreachable, withRetries } from '../http.ts';

/** MLflow's REST API at one address: another server's, or Cairn's own. Throws CliError with the server's code. */
export interface MlflowServer {
  readonly url: URL;
  get<T>(path: string, query?: Query): Promise<T>;
  post<T>(path: string, body: object): Promise<T>;
  patch<T>(path: string, body: object): Promise<T>;
  delete(path: string, body: object): Promise<void>;
  /** Every item of a list that pages. */
  all<T>(path: string, key: string, request: { query?: Query; body?: object }): AsyncGenerator<T>;
  /** The files below a folder of the artifact service, with their whole paths. */
  files(folder: string): AsyncGenerator<{ path: string; size: number }>;
  download(path: string): Promise<IncomingMessage>;
  upload(path: string, stream: Readable, length: number): Promise<void>;
}

type Query = Readonly<Record<string, string | number>>;

export function mlflowServer(options: {
  url: URL;
  authorization?: string | undefined;
  workspace?: string | undefined;
  signal: AbortSignal;
}): MlflowServer {
  const { url, authorization, workspace, signal } = options;
  const credentials: Record<string, string> = {
    ...(authorization === undefined ? {} : { authorization }),
    ...(workspace === undefined ? {} : { 'x-mlflow-workspace': workspace }),
  };
  const address = (path: string, query: Query = {}) => {
    const target = new URL(`${url.href.replace(/\/$/, '')}/api/2.0/${path}`);
    for (const [name, value] of Object.entries(query)) target.searchParams.set(name, String(value));
    return target;
  };

  const call = <T>(method: string, path: string, query?: Query, body?: object): Promise<T> => {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    return withRetries(signal, async () => {
      let answer: IncomingMessage;
      let text: string;
      try {
        answer = await send({
          method,
          url: address(path, query),
          headers: { ...credentials, ...(payload ? { 'content-type': 'application/json' } : {}) },
          ...(payload ? { body: payload } : {}),
          signal,
        });
        text = await readText(answer);
      } catch (error) {
        signal.throwIfAborted();
        // What creates something must not be sent twice.
        const failure = unreachable(url, error, 'Check --from, and that the MLflow server is running.');
        throw method === 'GET' ? new Transient(failure) : failure;
      }
      const status = answer.statusCode ?? 0;
      if (status >= 200 && status < 300) return (text === '' ? {} : JSON.parse(text)) as T;
      const failure = failureOf(url, status, text);
      throw isTransientStatus(status) ? new Transient(failure) : failure;
    });
  };

  const server: MlflowServer = {
    url,
    get: (path, query) => call('GET', `mlflow/${path}`, query),
    post: (path, body) => call('POST', `mlflow/${path}`, undefined, body),
    patch: (path, body) => call('PATCH', `mlflow/${path}`, undefined, body),
    delete: (path, body) => call('DELETE', `mlflow/${path}`, undefined, body),
    async *all(path, key, { query, body }) {
      for (let token: string | undefined; ; ) {
        const more: Query = token === undefined ? {} : { page_token: token };
        const page: Record<string, unknown> = body
          ? await server.post(path, { ...body, ...more })
          : await server.get(path, { ...query, ...more });
        yield* (page[key] ?? []) as never[];
        token = (page.next_page_token as string | undefined) || undefined;
        if (token === undefined) return;
      }
    },
    async *files(folder) {
      const { files = [] } = await call<{
        files?: { path: string; is_dir: boolean; file_size?: number | string }[];
      }>('GET', 'mlflow-artifacts/artifacts', { path: folder });
      for (const { path, is_dir, file_size } of files) {
        const whole = `${folder}/${path}`;
        if (is_dir) yield* server.files(whole);
        else yield { path: whole, size: Number(file_size ?? 0) };
      }
    },
    async download(path) {
      const answer = await send({
        method: 'GET',
        url: address(artifactPath(path)),
        headers: credentials,
        signal,
      });
      if (answer.statusCode === 200) return answer;
      throw failureOf(url, answer.statusCode ?? 0, await readText(answer, 10_000));
    },
    async upload(path, stream, length) {
      const answer = await send({
        method: 'PUT',
        url: address(artifactPath(path)),
        headers: credentials,
        body: { stream, length },
        signal,
      });
      const text = await readText(answer, 10_000);
      if (answer.statusCode !== 200) throw failureOf(url, answer.statusCode ?? 0, text);
    },
  };
  return server;
}

const artifactPath = (path: string) =>
  `mlflow-artifacts/artifacts/${path.split('/').map(encodeURIComponent).join('/')}`;

function failureOf(url: URL, status: number, text: string): CliError {
  let said: { error_code?: string; message?: string } = {};
  try {
    said = JSON.parse(text);
  } catch {
    // A proxy's page, or a server that is none of MLflow's.
  }
  const detail = `${url.host} answered ${status}: ${said.message ?? text.slice(0, 200)}`;
  return new CliError({ code: said.error_code ?? `HTTP_${status}`, detail, status }, exitCodeOf(status));
}
