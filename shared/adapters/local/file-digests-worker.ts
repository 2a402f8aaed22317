import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/** What is asked of the thread that `file-digests.ts` starts; each is answered, in order. */
export type DigestOrder =
  /** Hashes bytes behind those that the digest had before; `begin` for its first. */
  | { readonly id: number; readonly add: FileBytes | SharedBytes; readonly begin: boolean }
  /** The memory that the digest's `SharedBytes` are of: sent once, since the garbage collector counts it each time. */
  | { readonly id: number; readonly memory: SharedArrayBuffer }
  /** `begin` when nothing was added. */
  | { readonly id: number; readonly value: true; readonly begin: boolean }
  | { readonly id: number; readonly end: true };

export interface FileBytes {
  readonly path: string;
  readonly start: number;
  readonly length: number;
}

/** Bytes of the memory that the digest has been given. */
export interface SharedBytes {
  readonly start: number;
  readonly length: number;
}

export type DigestAnswer = { readonly sha256?: string } | { readonly error: string };

const buffer = Buffer.allocUnsafeSlow(1024 * 1024);
const digests = new Map<number, Hash>();
const memories = new Map<number, SharedArrayBuffer>();

parentPort?.on('message', (order: DigestOrder) => {
  let answer: DigestAnswer;
  try {
    answer = obey(order);
  } catch (error) {
    answer = { error: (error as Error).message };
  }
  parentPort?.postMessage(answer);
});

function obey(order: DigestOrder): DigestAnswer {
  if ('end' in order) {
    digests.delete(order.id);
    memories.delete(order.id);
    return {};
  }
  if ('memory' in order) {
    memories.set(order.id, order.memory);
    return {};
  }
  if (order.begin) digests.set(order.id, createHash('sha256'));
  const digest = digests.get(order.id);
  if (digest === undefined) throw new Error('the digest was lost with the thread that had it');
  if ('value' in order) return { sha256: digest.copy().digest('hex') };
  if ('path' in order.add) {
    update(digest, order.add);
    return {};
  }
  const memory = memories.get(order.id);
  if (memory === undefined) throw new Error('the digest has no memory');
  digest.update(new Uint8Array(memory, order.add.start, order.add.length));
  return {};
}

function update(digest: Hash, { path, start, length }: FileBytes): void {
  const file = openSync(path, 'r');
  try {
    for (let at = 0; at < length; ) {
      const read = readSync(file, buffer, 0, Math.min(buffer.length, length - at), start + at);
      if (read === 0) throw new Error(`${path} is shorter than it was`);
      digest.update(buffer.subarray(0, read));
      at += read;
    }
  } finally {
    closeSync(file);
  }
}
