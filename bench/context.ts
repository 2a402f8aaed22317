import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { type RunningServer, runServer } from '../tools/run-server.ts';

export const TOKEN = 'a-token-for-the-bench';

/** What every measurement gets. */
export interface Bench {
  /** A folder of its own. */
  readonly dir: string;
}

export interface BenchServer extends RunningServer {
  /** Calls the API. @throws Error when it does not answer 2xx */
  api<T>(method: string, path: string, body?: unknown): Promise<T>;
}

/** A server as `npm start` runs it. */
export async function startServer(dataDir: string): Promise<BenchServer> {
  const server = await runServer(dataDir, { CAIRN_ADMIN_TOKEN: TOKEN });
  return {
    ...server,
    async api<T>(method: string, path: string, body?: unknown): Promise<T> {
      const answer = await fetch(`${server.url}/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
  };
}

/** Runs a command. @throws Error naming the Debian package when it is not there */
export function command(name: string, debian: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8' });
  if (error) throw missing(name, debian);
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderr || stdout}`);
  return stdout;
}

/** Starts a command that runs until it is killed; it says what it has to say on its standard error. */
export async function startCommand(
  name: string,
  debian: string,
  args: readonly string[],
): Promise<ChildProcessByStdio<null, null, Readable>> {
  const child = spawn(name, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  await once(child, 'spawn').catch(() => Promise.reject(missing(name, debian)));
  return child;
}

const missing = (name: string, debian: string) =>
  new Error(`\`${name}\` is needed: install the Debian package ${debian}.`);

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
