import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface DemoServer {
  readonly url: string;
  /** What it has printed so far. */
  output(): string;
  stop(): Promise<void>;
}

/** Starts Cairn as `npm start` does, on a free port, with its data in `dataDir`. @throws Error when it exits instead */
export async function startServer(dataDir: string, token: string): Promise<DemoServer> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '../functions/local/main.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      CAIRN_DATA_DIR: dataDir,
      CAIRN_PORT: '0',
      CAIRN_HOST: '127.0.0.1',
      CAIRN_ADMIN_TOKEN: token,
    },
  });
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output += chunk;
        const ready = /ready at (\S+)/.exec(output)?.[1];
        if (ready !== undefined) resolve(ready);
      });
    }
    child.once('exit', (code) => reject(new Error(`Cairn exited with ${code}:\n${output}`)));
  });
  return {
    url,
    output: () => output,
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}
