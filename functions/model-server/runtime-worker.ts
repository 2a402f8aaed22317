import { parentPort, workerData } from 'node:worker_threads';
import { loadRuntime } from './runtime.ts';
import type { WorkerAnswer, WorkerOrder } from './runtime-thread.ts';

/** The thread that `runtime-thread.ts` starts: loads the model, then runs it once for each order. */
const port = parentPort;
if (port === null) throw new Error('runtime-worker.ts runs in a worker thread');

const { path, threads } = workerData as { path: string; threads: number };
const runtime = await loadRuntime(path, threads);

port.on('message', async ({ inputs, outputs }: WorkerOrder) => {
  let answer: WorkerAnswer;
  try {
    answer = { result: await runtime.run(inputs, outputs) };
  } catch (error) {
    answer = { error: (error as Error).message };
  }
  port.postMessage(answer);
});
port.postMessage('loaded');
