import { createHash, type Hash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';

/** What is asked of the thread that `file-digests.ts` starts; each is answered, in order. */
export type DigestOrder =
  /** Hashes bytes of a file behind those that the digest had before; `begin` for its first. */
  | { readonly id: number; readonly add: FileBytes; readonly begin: boolean }
  /** `begin` when nothing was added. */
  | { readonly id: number; readonly value: true; readonly begin: boolean }
  | { readonly id: number; readonly end: true };

export interface FileBytes {
  readonly path: string;
  readonly start: number;
  readonly length: number;
}

export type DigestAnswer = { readonly sha256?: string } | { readonly error: string };

const buffer = Buffer.allocUnsafeSlow(1024 * 1024);
const digests = new Map<number, Hash>();

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
    return {};
  }
  if (order.begin) digests.set(order.id, createHash('sha256'));
  const digest = digests.get(order.id);
  if (digest === undefined) throw new Error('the digest was lost with the thread that had it');
  if ('value' in order) return { sha256: digest.copy().digest('hex') };
  update(digest, order.add);
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
