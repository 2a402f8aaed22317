import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const exec = promisify(execFile);

export interface DockerEngine {
  /** What DOCKER_HOST has to be. */
  readonly host: string;
  /** This machine's address as containers see it. */
  readonly gateway: string;
  /** Runs the `docker` command; what it printed. */
  docker(...args: string[]): Promise<string>;
  close(): Promise<void>;
}

/**
 * The Docker engine of this machine, or one that is started for the test alone.
 * @throws Error saying what is missing; a test that needs it fails, it is never left out
 */
export async function dockerEngine(): Promise<DockerEngine> {
  const running = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock';
  const found = await connect(running).catch(() => undefined);
  return found ? { ...found, close: async () => {} } : startEngine();
}

async function connect(host: string): Promise<Omit<DockerEngine, 'close'>> {
  const docker = async (...args: string[]) => {
    const env = { ...process.env, DOCKER_HOST: host };
    return (await exec('docker', args, { env, maxBuffer: 64 * 1024 * 1024 })).stdout.trim();
  };
  await docker('info');
  const format = '{{range .IPAM.Config}}{{.Gateway}}{{end}}';
  return { host, docker, gateway: await docker('network', 'inspect', 'bridge', '--format', format) };
}

async function startEngine(): Promise<DockerEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'cairn-docker-'));
  const host = `unix://${folder}/docker.sock`;
  const child = spawn(
    'dockerd',
    [
      ...['--host', host, '--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`],
      ...['--pidfile', `${folder}/pid`, '--bip', '172.30.77.1/24'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let output = '';
  child.stderr.on('data', (chunk) => {
    output = (output + chunk).slice(-3000);
  });
  const ended = once(child, 'exit');
  const failed = Promise.race([
    once(child, 'error').then(([error]) => String(error)),
    ended.then(([code]) => `dockerd ended with ${code}:\n${output}`),
  ]).then((why) => {
    throw new Error(
      `This test needs a Docker engine: one that runs, or dockerd and the right to start it. ${why}`,
    );
  });
  failed.catch(() => undefined);
  const connected = await Promise.race([patiently(() => connect(host)), failed]);
  return {
    ...connected,
    async close() {
      child.kill('SIGTERM');
      await ended;
      // A container on this machine's own network leaves it mounted; without one there is nothing to take off.
      await exec('umount', [`${folder}/exec/netns/default`]).catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 60_000; ; await sleep(200)) {
    try {
      return await work();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
