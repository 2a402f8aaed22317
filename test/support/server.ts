import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../../functions/local/main.ts');
export const TOKEN = 'a-token-for-the-tests';

export interface TestServer {
  readonly url: string;
  readonly process: ChildProcess;
  output(): string;
  /** Calls the API with the admin's token; a path without a host. */
  api(method: string, path: string, body?: unknown): Promise<{ status: number; body: any; headers: Headers }>;
  kill(): Promise<void>;
  stop(): Promise<number | null>;
}

/** Starts the real server as a process on a free port. */
export async function startServer(
  dataDir: string,
  env: Record<string, string | undefined> = {},
): Promise<TestServer> {
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      CAIRN_DATA_DIR: dataDir,
      CAIRN_PORT: '0',
      CAIRN_ADMIN_TOKEN: TOKEN,
      ...env,
    },
  });
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
        const ready = /ready at (\S+)\n[\s\S]*Try next/.exec(output)?.[1];
        if (ready !== undefined) resolve(ready);
      });
    }
    child.once('exit', (code) => reject(new Error(`the server exited with ${code}: ${output}`)));
  });
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
    return child.exitCode;
  };
  return {
    url,
    process: child,
    output: () => output,
    async api(method, path, body) {
      const answer = await fetch(`${url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${TOKEN}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const json = (answer.headers.get('content-type') ?? '').includes('json');
      return {
        status: answer.status,
        body: json && text !== '' ? JSON.parse(text) : text,
        headers: answer.headers,
      };
    },
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
  };
}
