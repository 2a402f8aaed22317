import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { StreamOptions } from '../../ports/blob-store.ts';
import { writeFully, writeStream } from './blob-writing.ts';
import { type Ring, writeDirect } from './direct-writing.ts';
import type { FileDigests } from './file-digests.ts';

/** Streams of at least so many bytes, or of an unknown number, are hashed in a thread of their own. */
const HASHED_ASIDE = 1024 * 1024;

/** Writes a whole new file and returns its SHA-256. A large stream is hashed while what follows still arrives. */
export async function writeHashed(
  file: FileHandle,
  path: string,
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  {
    key,
    size,
    release,
    hashes,
    ring,
  }: StreamOptions & { key: string; hashes: FileDigests; ring: Ring | undefined },
): Promise<string> {
  if (bytes instanceof Uint8Array) {
    await writeFully(file, [bytes], 0);
    return createHash('sha256').update(bytes).digest('hex');
  }
  if (size !== undefined && size < HASHED_ASIDE) {
    const hash = createHash('sha256');
    await writeStream(file, key, hashed(bytes, hash), { position: 0, size, release });
    return hash.digest('hex');
  }
  const digest = hashes.begin(ring);
  try {
    if (ring) {
      await writeDirect(file, key, bytes, { ring, size, release, onBytes: digest.add });
      return await digest.value();
    }
    let hashing: Promise<void> = Promise.resolve();
    await writeStream(file, key, bytes, {
      position: 0,
      size,
      release,
      onWritten: (start, length) => {
        const adding = digest.add({ path, start, length });
        hashing = hashing.then(() => adding);
        // Told below; or nobody asks any more, since the bytes have stopped coming and the file is gone.
        for (const told of [adding, hashing]) told.catch(() => undefined);
      },
    });
    // The disk takes the rest while the last bytes are hashed.
    const [, sha256] = await Promise.all([file.datasync(), hashing.then(() => digest.value())]);
    return sha256;
  } finally {
    digest.end();
  }
}

async function* hashed(source: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}
