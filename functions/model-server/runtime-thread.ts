import { once } from 'node:events';
import { type TransferListItem, Worker } from 'node:worker_threads';
import type { RunResult, Runtime } from './runtime.ts';
import type { Tensors } from './tensor.ts';

export interface WorkerOrder {
  readonly inputs: Tensors;
  readonly outputs: readonly string[];
}

export type WorkerAnswer = { readonly result: RunResult } | { readonly error: string };

/** Beside this file: its source, or in a container what is bundled of it. */
const WORKER = import.meta.url.endsWith('.ts') ? './runtime-worker.ts' : './runtime-worker.mjs';
/** Smaller buffers are copied sooner than handed over. */
const HAND_OVER_BYTES = 64 * 1024;

/**
 * Loads an ONNX file into a thread of its own, so that this one goes on answering while the model runs. One run at a
 * time; large input buffers are handed over and are empty afterwards. If the thread dies, so does the process.
 */
export async function loadRuntimeThread(path: string, threads: number): Promise<Runtime> {
  const worker = new Worker(new URL(WORKER, import.meta.url), {
    workerData: { path, threads },
  });
  await once(worker, 'message');
  let waiting: { resolve(result: RunResult): void; reject(error: Error): void } | undefined;
  worker.on('message', (answer: WorkerAnswer) => {
    const { resolve, reject } = waiting as NonNullable<typeof waiting>;
    waiting = undefined;
    if ('result' in answer) resolve(answer.result);
    else reject(new Error(answer.error));
  });
  worker.on('error', (error) => {
    throw error;
  });
  return {
    run(inputs, outputs) {
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        worker.postMessage({ inputs, outputs } satisfies WorkerOrder, largeBuffers(inputs));
      });
    },
    async close() {
      await worker.terminate();
    },
  };
}

function largeBuffers(tensors: Tensors): TransferListItem[] {
  const buffers = new Set<ArrayBuffer>();
  for (const { data } of Object.values(tensors)) {
    if (Array.isArray(data) || data.byteLength < HAND_OVER_BYTES) continue;
    if (data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength)
      buffers.add(data.buffer);
  }
  return [...buffers];
}
