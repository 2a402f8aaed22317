import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** What a local stand-in for AWS takes as credentials. */
export const TEST_CREDENTIALS = { accessKeyId: 'cairntest', secretAccessKey: 'cairntestsecret' };
export const TEST_REGION = 'us-east-1';

export interface LocalServer {
  readonly endpoint: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** A file below `.peers`, where tools/peers.ts puts what it installs. */
export const installed = (path: string): string =>
  fileURLToPath(new URL(`../../.peers/${path}`, import.meta.url));

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
  readonly cwd?: string;
}

/**
 * Starts a server of this machine on a free port and waits until it answers HTTP, whatever it says.
 * @throws Error with what it wrote if it ends before that
 */
export async function startLocalServer(command: (port: number) => Command): Promise<LocalServer> {
  const port = await freePort();
  const { pid, ended, stop } = startProcess(command(port));
  const endpoint = `http://127.0.0.1:${port}`;
  await Promise.race([answers(endpoint), ended]);
  return { endpoint, pid, stop };
}

/** Starts a program that goes on until it is stopped; `ended` rejects with what it wrote last when it does not. */
export function startProcess({ file, args, env, cwd }: Command) {
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    ...(cwd === undefined ? {} : { cwd }),
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output = (output + chunk).slice(-10_000);
    });
  }
  const ended = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`${file} ended with ${code}:\n${output}`)));
  });
  ended.catch(() => undefined);
  return { pid: child.pid ?? 0, ended, stop: () => stop(child) };
}

async function answers(endpoint: string): Promise<void> {
  for (const deadline = Date.now() + 120_000; ; await sleep(100)) {
    try {
      await (await fetch(endpoint)).arrayBuffer();
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
