import { Worker } from 'node:worker_threads';
import type { JournalEntry } from './blob-journal.ts';
import type { FileNumbers, JournalAnswer, JournalPlaces, JournalRequest } from './blob-journal-worker.ts';

/** Larger objects are streamed to their file by the server's own thread. */
export const JOURNALED_MAX = 64 * 1024;

export interface JournaledPuts {
  /** Stores a small content-addressed object durably; the directory it goes to has to be there and durable. */
  put(entry: JournalEntry): Promise<FileNumbers>;
  /** Takes care that no journal makes an object again: call it before one is deleted. */
  settle(): Promise<void>;
}

type Order = { readonly put: readonly JournalEntry[] } | { readonly settle: true };

/** Small puts of one store, in a thread that begins with the first of them. What comes together shares one fsync. */
export function journaledPuts(places: JournalPlaces): JournaledPuts {
  /** Whether there was a put since the journal was settled. */
  let dirty = false;
  let waiting: {
    entry: JournalEntry;
    resolve: (numbers: FileNumbers) => void;
    reject: (error: unknown) => void;
  }[] = [];
  let running = false;
  let worker: Worker | undefined;
  let lastId = 0;

  const order = (content: Order): Promise<JournalAnswer> => {
    worker ??= new Worker(new URL('./blob-journal-worker.ts', import.meta.url), { workerData: places });
    const current = worker;
    const request: JournalRequest = { id: ++lastId, ...content };
    current.ref();
    return new Promise<JournalAnswer>((resolve, reject) => {
      const stop = () => {
        current
          .removeListener('message', onMessage)
          .removeListener('error', lost)
          .removeListener('exit', lost);
      };
      const onMessage = (answer: JournalAnswer) => {
        if (answer.id !== request.id) return;
        stop();
        if (!answer.error) return resolve(answer);
        reject(Object.assign(new Error(answer.error.message), { code: answer.error.code }));
      };
      const lost = (cause: unknown) => {
        stop();
        worker = undefined;
        reject(new Error('the thread that stores small objects ended', { cause }));
      };
      current.on('message', onMessage).once('error', lost).once('exit', lost);
      current.postMessage(request);
    }).finally(() => current.unref());
  };

  const run = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        const { stats = [] } = await order({ put: batch.map(({ entry }) => entry) });
        for (const [index, { resolve }] of batch.entries()) resolve(stats[index] as FileNumbers);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = false;
  };

  return {
    put: (entry) =>
      new Promise((resolve, reject) => {
        dirty = true;
        waiting.push({ entry, resolve, reject });
        if (running) return;
        running = true;
        setImmediate(() => void run());
      }),
    async settle() {
      if (!dirty) return;
      dirty = false;
      await order({ settle: true });
    },
  };
}
