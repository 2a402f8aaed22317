import type { BlobStore, ByteRange } from '../ports/blob-store.ts';

/** A whole object, or a range of it, in memory: for small ones only. */
export async function readAll(blobs: BlobStore, key: string, range?: ByteRange): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await blobs.get(key, range)) chunks.push(Uint8Array.from(chunk));
  return Buffer.concat(chunks);
}
