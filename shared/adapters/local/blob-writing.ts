import type { FileHandle } from 'node:fs/promises';
import { BlobError, type StreamOptions } from '../../ports/blob-store.ts';

/** Small chunks are gathered into writes of this many bytes … */
const WRITE_BYTES = 1024 * 1024;
/** … or this many chunks, … */
const WRITE_CHUNKS = 512;
/** … of which so many may be under way before the source has to wait. */
const WRITES_UNDER_WAY = 4;
/** Data is flushed in the background each time so much was written, so that the fsync at the end is short. */
const FLUSH_BYTES = 16 * 1024 * 1024;

export interface Writing extends StreamOptions {
  /** Where in the file the first byte goes. */
  readonly position: number;
  /** Is told of every stretch of the file that is written, in order: where it begins, and how long it is. */
  readonly onWritten?: ((start: number, length: number) => void) | undefined;
}

/**
 * Writes a stream into a file and returns its size. Holds a few MiB whatever the size; does not make it durable.
 * When it rejects no write is under way any more.
 * @throws BlobError `SIZE_MISMATCH` as soon as there is a byte too many, or at the end if there were too few
 */
export async function writeStream(
  file: FileHandle,
  key: string,
  source: AsyncIterable<Uint8Array>,
  { position, size, release, onWritten }: Writing,
): Promise<number> {
  const underWay = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  const start = (work: Promise<void>) => {
    const settled: Promise<void> = work
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => underWay.delete(settled));
    underWay.add(settled);
  };

  let received = 0;
  let written = 0;
  let toFlush = 0;
  let chunks: Uint8Array[] = [];
  let inOrder: Promise<void> = Promise.resolve();
  const write = () => {
    const [at, length, before, taken] = [position + written, received - written, inOrder, chunks];
    const writing = writeFully(file, taken, at).then(() => {
      if (release) taken.forEach(release);
    });
    if (onWritten !== undefined) {
      inOrder = writing.then(() => before).then(() => onWritten(at, length));
    }
    start(onWritten === undefined ? writing : inOrder);
    toFlush += received - written;
    written = received;
    chunks = [];
    if (toFlush < FLUSH_BYTES) return;
    toFlush = 0;
    start(file.datasync());
  };

  try {
    for await (const chunk of source) {
      received += chunk.length;
      if (size !== undefined && received > size) throw mismatch(key, size, `more than ${size}`);
      if (chunk.length > 0) chunks.push(chunk);
      if (received - written >= WRITE_BYTES || chunks.length >= WRITE_CHUNKS) write();
      while (underWay.size >= WRITES_UNDER_WAY) await Promise.race(underWay);
      if (failure !== undefined) throw failure.error;
    }
    if (size !== undefined && received < size) throw mismatch(key, size, String(received));
    if (chunks.length > 0) write();
  } finally {
    await Promise.all(underWay);
  }
  if (failure !== undefined) throw failure.error;
  return received;
}

/** Writes all the bytes, however few one call takes. */
export async function writeFully(file: FileHandle, buffers: Uint8Array[], position: number): Promise<void> {
  let rest = buffers;
  let at = position;
  while (rest.length > 0) {
    const { bytesWritten } = await file.writev(rest, at);
    at += bytesWritten;
    rest = without(rest, bytesWritten);
  }
}

function without(buffers: Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  return buffers.flatMap((buffer) => {
    const skipped = Math.min(skip, buffer.length);
    skip -= skipped;
    return skipped === buffer.length ? [] : [buffer.subarray(skipped)];
  });
}

export const mismatch = (key: string, expected: number, found: string) =>
  new BlobError('SIZE_MISMATCH', key, `${expected} bytes were announced and ${found} came`);
