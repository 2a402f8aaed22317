import type { BlobStore } from '../ports/blob-store.ts';

/** A hash that was interrupted: the bytes it has seen and its state, base64. */
export interface HashCheckpoint {
  readonly offset: number;
  readonly state: string;
}

/**
 * SHA-256 of an object, lower-case hex, or how far it came when `stop` said so: what lets a function with a time limit
 * hash a file of any size. Node's own hash cannot be saved; `hash-wasm`'s can.
 */
export async function digestUntil(
  blobs: BlobStore,
  key: string,
  stop: () => boolean,
  from?: HashCheckpoint,
): Promise<{ sha256: string } | { checkpoint: HashCheckpoint }> {
  const { createSHA256 } = await import('hash-wasm');
  const hash = await createSHA256();
  if (from) hash.load(Buffer.from(from.state, 'base64'));
  let offset = from?.offset ?? 0;
  const size = (await blobs.stat(key))?.size ?? 0;
  if (offset < size) {
    for await (const chunk of await blobs.get(key, { start: offset })) {
      hash.update(chunk);
      offset += chunk.length;
      if (offset < size && stop())
        return { checkpoint: { offset, state: Buffer.from(hash.save()).toString('base64') } };
    }
  }
  return { sha256: hash.digest('hex') };
}
