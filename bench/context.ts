import { spawnSync } from 'node:child_process';
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

/** Resident memory of a process in MB. */
export function residentMb(pid: number | undefined): number {
  const { stdout } = spawnSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' });
  return Math.round(Number(stdout.trim()) / 1000);
}

/** Runs a command. @throws Error naming the Debian package when it is not there */
export function command(name: string, debian: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(name, args, { encoding: 'utf8' });
  if (error) throw new Error(`\`${name}\` is needed: install the Debian package ${debian}.`);
  if (status !== 0) throw new Error(`${name} ${args.join(' ')}: ${stderr || stdout}`);
  return stdout;
}

/** Requests per second that wrk measures with 8 connections, for so many seconds. @throws Error when one is not answered 2xx */
export function wrk(url: string, seconds: number, args: readonly string[] = []): number {
  const out = command('wrk', 'wrk', ['-t1', '-c8', `-d${seconds}`, ...args, url]);
  if (/Non-2xx|Socket errors/.test(out)) throw new Error(`wrk ${url}: ${out}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(out)?.[1]);
}
