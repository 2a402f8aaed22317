import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';

/** A Cairn server as a process of its own, as `npm start` runs it. */
export interface RunningServer {
  readonly url: string;
  readonly process: ChildProcess;
  /** What it has printed so far. */
  output(): string;
  /** SIGTERM: requests under way are finished. @returns the exit code */
  stop(): Promise<number | null>;
  kill(): Promise<void>;
}

/**
 * Starts a server on a free port, with its data in `dataDir` and an environment of PATH and `env` only.
 * @throws Error with what it printed when it exits instead
 */
export async function runServer(
  dataDir: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<RunningServer> {
  const project = join(import.meta.dirname, '..');
  const child = spawn(process.execPath, [join(project, 'functions/local/main.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: join(project, 'node_modules/.cache/cairn'),
      CAIRN_DATA_DIR: dataDir,
      CAIRN_PORT: '0',
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
    child.once('exit', (code) => reject(new Error(`Cairn exited with ${code}:\n${output}`)));
  });
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill(signal);
      await exited;
    }
    return child.exitCode;
  };
  return {
    url,
    process: child,
    output: () => output,
    stop: () => end('SIGTERM'),
    kill: async () => void (await end('SIGKILL')),
  };
}
