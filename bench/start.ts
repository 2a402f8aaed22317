import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { type Bench, startServer } from './context.ts';
import { type Measurement, medianOf, repeat, seconds } from './measurement.ts';
import { memory } from './memory.ts';

const ROUNDS = 5;
/** Long enough for what start-up leaves behind to settle. */
const IDLE_MS = 2000;

/** From the start of the process to its being ready, and its memory when idle; beside Node alone. */
export async function start({ dir }: Bench): Promise<Measurement[]> {
  const runs = await repeat(ROUNDS, async (round) => {
    const node = await seconds(() => spawnSync(process.execPath, ['--eval', '0']));
    const began = performance.now();
    const server = await startServer(join(dir, String(round)));
    const ready = performance.now() - began;
    await pause(IDLE_MS);
    const { resident } = memory(server.process.pid);
    await server.stop();
    return { node: node * 1000, ready, resident };
  });
  const node = medianOf(runs, 'node');
  const ready = medianOf(runs, 'ready');
  const resident = medianOf(runs, 'resident');
  return [
    {
      what: 'ready after the process starts',
      client: 'node',
      value: ready,
      figure: `${ready.toFixed(0)} ms (Node alone ${node.toFixed(0)} ms)`,
      bar: '< 1000 ms',
      reached: ready < 1000,
    },
    {
      what: 'resident memory, idle',
      client: '/proc',
      value: resident,
      figure: `${resident} MB`,
      bar: '< 150 MB',
      reached: resident < 150,
    },
  ];
}
