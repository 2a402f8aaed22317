import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * Runs a process that writes and prints the number of each write it was acknowledged, kills it (SIGKILL) after
 * `atLeast` of them, and answers the numbers it printed. Numbers go on from round to round.
 */
export async function killedWhileWriting(
  what: 'table' | 'blobs',
  dir: string,
  atLeast: number,
): Promise<number[]> {
  const script = new URL('./writes-until-killed.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, what, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  const acknowledged: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(Number(line));
    if (acknowledged.length === atLeast) child.kill('SIGKILL');
  }
  if (acknowledged.length < atLeast) throw new Error(`${script} ended by itself`);
  return acknowledged;
}
