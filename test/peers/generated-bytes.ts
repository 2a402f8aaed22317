import { createHash } from 'node:crypto';

const CHUNK = 1024 * 1024;

/** The bytes from `start` on of an endless file in which no MiB is like another. */
export async function* generated(start: number, length: number): AsyncGenerator<Uint8Array> {
  yield* chunks(start, length);
}

/** Their digest, lower-case hex. */
export function generatedDigest(start: number, length: number, algorithm = 'sha256'): string {
  const hash = createHash(algorithm);
  for (const chunk of chunks(start, length)) hash.update(chunk);
  return hash.digest('hex');
}

function* chunks(start: number, length: number): Generator<Uint8Array> {
  for (let at = start; at < start + length; ) {
    const block = Math.floor(at / CHUNK);
    const bytes = Buffer.alloc(CHUNK, block % 251);
    bytes.writeDoubleBE(block, CHUNK / 2);
    const piece = bytes.subarray(at - block * CHUNK, Math.min(CHUNK, start + length - block * CHUNK));
    yield piece;
    at += piece.length;
  }
}
