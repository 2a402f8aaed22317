import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';

export interface MlflowServer {
  readonly url: string;
  /** Its first process, which leads the group of its workers. */
  readonly pid: number;
  stop(): Promise<void>;
}

/** It loads Python's packages in each worker. */
const READY_WITHIN_MS = 240_000;
const ASKED_EVERY_MS = 50;

/**
 * MLflow's own server on SQLite in that folder: what Cairn's answers, and its speed, are held against.
 * @throws Error with a sentence when it cannot be started, or with what it printed when it exits instead
 */
export async function startMlflowServer(python: string, folder: string, workers = 1): Promise<MlflowServer> {
  const port = await freePort();
  const child = spawn(
    join(dirname(python), 'mlflow'),
    [
      ...['server', '--host', '127.0.0.1', '--port', String(port), '--workers', String(workers)],
      ...[
        '--backend-store-uri',
        `sqlite:///${folder}/mlflow.db`,
        '--artifacts-destination',
        `${folder}/artifacts`,
      ],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder, detached: true, env: { PATH: process.env.PATH } },
  );
  await once(child, 'spawn').catch(({ message }: Error) => {
    throw new Error(
      `MLflow's server does not start (${message}): remove ${join(dirname(python), '..')}, and it is made anew.`,
    );
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const exited = once(child, 'exit');
    // Its workers are processes of their own, in its group.
    process.kill(-child.pid, 'SIGTERM');
    await exited;
  };
  const url = `http://127.0.0.1:${port}`;
  const giveUpAt = performance.now() + READY_WITHIN_MS;
  while (!(await answers(`${url}/health`))) {
    if (child.exitCode !== null || child.signalCode !== null)
      throw new Error(`MLflow's server exited: ${output}`);
    if (performance.now() > giveUpAt) {
      await stop();
      throw new Error(`MLflow's server does not answer: ${output}`);
    }
    await pause(ASKED_EVERY_MS);
  }
  return { url, pid: child.pid ?? 0, stop };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
