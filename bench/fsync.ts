import { once } from 'node:events';
import { open } from 'node:fs/promises';
import { startCommand } from './context.ts';
import { seconds } from './measurement.ts';

/** Appends of 1 KB that the disk makes durable in a second, one after the other. */
export async function fsyncsPerSecond(path: string): Promise<number> {
  const times = 1000;
  const file = await open(path, 'w');
  const bytes = Buffer.alloc(1024);
  const took = await seconds(async () => {
    for (let n = 0; n < times; n++) {
      await file.write(bytes);
      await file.datasync();
    }
  });
  await file.close();
  return times / took;
}

/** Counts the fsyncs of files whose path has one of `names` in it, by a process in all its threads, until `stop`. */
export async function countFsyncs(
  pid: number | undefined,
  names: readonly string[],
): Promise<{ stop(): Promise<number> }> {
  const asked = ['-f', '-y', '-e', 'trace=fsync,fdatasync', '-p', String(pid)];
  const strace = await startCommand('strace', 'strace', asked);
  let output = '';
  await new Promise<void>((resolve, reject) => {
    strace.once('exit', () => reject(new Error(`strace: ${output}`)));
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes(`Process ${pid} attached`)) resolve();
    });
  });
  return {
    async stop() {
      const closed = once(strace, 'close');
      strace.kill('SIGINT');
      await closed;
      const synced = [...output.matchAll(/f(?:data)?sync\(\d+<([^>]*)>/g)].map(([, path = '']) => path);
      return synced.filter((path) => names.some((name) => path.includes(name))).length;
    },
  };
}
