import { Worker } from 'node:worker_threads';
import type { DigestAnswer, DigestOrder, FileBytes, SharedBytes } from './file-digests-worker.ts';

/** The SHA-256 of what is added to it. A failure ends it: begin another one. */
export interface FileDigest {
  /** Hashes bytes, of a file or of memory that nobody changes meanwhile, behind those before. */
  add(bytes: FileBytes | SharedBytes): Promise<void>;
  /** Of all that was added, lower-case hex. */
  value(): Promise<string>;
  /** Lets go of it. */
  end(): void;
}

export interface FileDigests {
  /** @param memory what bytes without a path are of */
  begin(memory?: SharedArrayBuffer): FileDigest;
}

interface Waiting {
  readonly resolve: (answer: DigestAnswer) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Hashes files in a thread that begins with the first of them: a core does nothing else while a large file arrives, and
 * the server's own has the bytes to take in.
 */
export function fileDigests(): FileDigests {
  let thread: { readonly worker: Worker; readonly waiting: Waiting[] } | undefined;
  let lastId = 0;

  const start = () => {
    const worker = new Worker(new URL('./file-digests-worker.ts', import.meta.url));
    const started = { worker, waiting: [] as Waiting[] };
    const lost = (cause?: unknown) => {
      if (thread === started) thread = undefined;
      const error = new Error('the thread that hashes files has ended', { cause });
      for (const { reject } of started.waiting.splice(0)) reject(error);
    };
    worker
      .on('message', (answer: DigestAnswer) => {
        started.waiting.shift()?.resolve(answer);
        if (started.waiting.length === 0) worker.unref();
      })
      .on('error', lost)
      .on('exit', () => lost());
    return started;
  };

  const ask = async (order: DigestOrder): Promise<string | undefined> => {
    thread ??= start();
    const { worker, waiting } = thread;
    const answer = await new Promise<DigestAnswer>((resolve, reject) => {
      waiting.push({ resolve, reject });
      worker.ref();
      worker.postMessage(order);
    });
    if ('error' in answer) throw new Error(answer.error);
    return answer.sha256;
  };

  return {
    begin(memory) {
      const id = ++lastId;
      let begun = false;
      return {
        async add(bytes) {
          const begin = !begun;
          begun = true;
          // A failure is the next order's too.
          if (begin && memory) ask({ id, memory }).catch(() => undefined);
          await ask({ id, add: bytes, begin });
        },
        async value() {
          return (await ask({ id, value: true, begin: !begun })) ?? '';
        },
        end() {
          if (begun) ask({ id, end: true }).catch(() => undefined);
        },
      };
    },
  };
}
