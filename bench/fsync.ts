import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open } from 'node:fs/promises';
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

/** Counts a process's fsync and fdatasync calls, in all its threads, from now until `stop`. */
export async function countFsyncs(pid: number | undefined): Promise<{ stop(): Promise<number> }> {
  const strace = spawn('strace', ['-f', '-c', '-e', 'trace=fsync,fdatasync', '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let output = '';
  await new Promise<void>((resolve, reject) => {
    strace.once('error', () => reject(new Error('`strace` is needed: install the Debian package strace.')));
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
      const calls = output.matchAll(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*?f(?:data)?sync$/gm);
      return [...calls].reduce((sum, [, count]) => sum + Number(count), 0);
    },
  };
}
