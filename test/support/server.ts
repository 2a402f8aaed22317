import { type RunningServer, runServer } from '../../tools/run-server.ts';

export const TOKEN = 'a-token-for-the-tests';

export interface TestServer extends RunningServer {
  /** Calls the API with the admin's token; a path without a host. */
  api(method: string, path: string, body?: unknown): Promise<ApiAnswer>;
}

export interface ApiAnswer {
  readonly status: number;
  /** Parsed where it is JSON, text otherwise. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any;
  readonly headers: Headers;
}

/** Starts the real server as a process on a free port. */
export async function startServer(
  dataDir: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<TestServer> {
  const server = await runServer(dataDir, { CAIRN_ADMIN_TOKEN: TOKEN, ...env });
  return {
    ...server,
    async api(method, path, body) {
      const answer = await fetch(server.url + path, {
        method,
        headers: {
          authorization: `Bearer ${TOKEN}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const json = (answer.headers.get('content-type') ?? '').includes('json');
      return {
        status: answer.status,
        body: json && text !== '' ? JSON.parse(text) : text,
        headers: answer.headers,
      };
    },
  };
}
