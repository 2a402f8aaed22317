import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Bench, residentMb, startServer } from './context.ts';
import { type Measurement, median, repeat } from './measurement.ts';

/** From the start of the process to its being ready, and its memory when idle. */
export async function start({ dir }: Bench): Promise<Measurement[]> {
  const runs = await repeat(5, async (round) => {
    const began = performance.now();
    const server = await startServer(join(dir, String(round)));
    const ready = performance.now() - began;
    await pause(2000);
    const resident = residentMb(server.process.pid);
    await server.stop();
    return { ready, resident };
  });
  const ready = median(runs.map((run) => run.ready));
  const resident = median(runs.map((run) => run.resident));
  return [
    {
      what: 'ready after the process starts',
      figure: `${Math.round(ready)} ms`,
      bar: '< 1000 ms',
      reached: ready < 1000,
    },
    { what: 'resident memory, idle', figure: `${resident} MB`, bar: '< 150 MB', reached: resident < 150 },
  ];
}
