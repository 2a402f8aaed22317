import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { StreamOptions } from '../../ports/blob-store.ts';
import { mismatch, writeFully } from './blob-writing.ts';
import type { SharedBytes } from './file-digests-worker.ts';

/** With O_DIRECT the place in memory, the place in the file and the length are multiples of the disk's blocks. */
export const BLOCK_BYTES = 4096;
const SLOT_BYTES = 1024 * 1024;
const SLOTS = 8;
/** More large streams than this at the same time are written through the page cache. */
const AT_ONCE = 4;

/** How a file is opened for `writeDirect`: new, and past the page cache. */
export const DIRECT = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_DIRECT;

/** The memory that one stream goes through on its way to the disk. */
export type Ring = SharedArrayBuffer;

export interface Rings {
  /** Undefined where the file system cannot write past its page cache, and when all are taken. */
  take(): Promise<Ring | undefined>;
  /** To be called when nothing reads or writes it any more; `lost` when that is not certain. */
  give(ring: Ring, lost?: 'lost'): void;
}

/** @param unfinished gives a path in the folder that files are written in */
export function rings(unfinished: () => string): Rings {
  let taken = 0;
  let spare: Ring | undefined;
  let possible: Promise<boolean> | undefined;
  return {
    async take() {
      possible ??= canWriteDirect(unfinished()).catch(() => {
        // Whatever is wrong with the folder, the write that follows tells; the next one tries again.
        possible = undefined;
        return false;
      });
      if (!(await possible) || taken === AT_ONCE) return undefined;
      taken++;
      const ring = spare ?? alignedMemory(SLOTS * SLOT_BYTES);
      spare = undefined;
      return ring;
    },
    give(ring, lost) {
      taken--;
      if (lost === undefined) spare = ring;
    },
  };
}

/** Node's types have no values of WebAssembly. */
declare const WebAssembly: {
  readonly Memory: new (shape: {
    initial: number;
    maximum: number;
    shared: true;
  }) => { readonly buffer: SharedArrayBuffer };
};

/** Memory for O_DIRECT: WebAssembly's, unlike other buffers, begins at a page's first byte. */
function alignedMemory(bytes: number): SharedArrayBuffer {
  const pages = bytes / 65_536;
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }).buffer;
}

async function canWriteDirect(path: string): Promise<boolean> {
  try {
    const file = await open(path, DIRECT, 0o444);
    try {
      await writeFully(file, [new Uint8Array(alignedMemory(65_536), 0, BLOCK_BYTES)], 0);
    } finally {
      await file.close();
    }
    return true;
  } catch (error) {
    if (['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return false;
    throw error;
  } finally {
    await rm(path, { force: true });
  }
}

/**
 * Writes a stream into a file that was opened as `DIRECT` says, and returns its size; `onBytes` reads each stretch while
 * it is written, in order. A large file would take the memory of others, and a kernel that has to find as much first
 * writes it at a third of the disk's speed. What is left to make durable is the file's size and place.
 * When it rejects nothing of the ring is read or written any more.
 * @throws BlobError `SIZE_MISMATCH` as soon as there is a byte too many, or at the end if there were too few
 */
export async function writeDirect(
  file: FileHandle,
  key: string,
  source: AsyncIterable<Uint8Array>,
  {
    ring,
    size,
    release,
    onBytes,
  }: StreamOptions & { readonly ring: Ring; onBytes(bytes: SharedBytes): Promise<void> },
): Promise<number> {
  const memory = new Uint8Array(ring);
  const underWay = new Set<Promise<unknown>>();
  const free = Array.from({ length: SLOTS }, (_, slot) => slot);
  let failure: { error: unknown } | undefined;
  let slot = free.pop() ?? 0;
  let filled = 0;
  let received = 0;

  const flush = () => {
    const [start, length, position] = [slot * SLOT_BYTES, filled, received - filled];
    const whole = Math.ceil(length / BLOCK_BYTES) * BLOCK_BYTES;
    memory.fill(0, start + length, start + whole);
    const bytes = memory.subarray(start, start + whole);
    const used = slot;
    const jobs = [writeFully(file, [bytes], position), onBytes({ start, length })];
    const done: Promise<void> = Promise.allSettled(jobs).then((outcomes) => {
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') failure ??= { error: outcome.reason };
      free.push(used);
      underWay.delete(done);
    });
    underWay.add(done);
    filled = 0;
  };

  try {
    for await (const chunk of source) {
      if (size !== undefined && received + chunk.length > size)
        throw mismatch(key, size, `more than ${size}`);
      for (let at = 0; at < chunk.length; ) {
        const part = chunk.subarray(at, at + SLOT_BYTES - filled);
        memory.set(part, slot * SLOT_BYTES + filled);
        filled += part.length;
        received += part.length;
        at += part.length;
        if (filled < SLOT_BYTES) break;
        flush();
        while (free.length === 0) await Promise.race(underWay);
        slot = free.pop() ?? 0;
      }
      release?.(chunk);
      if (failure !== undefined) throw failure.error;
    }
    if (size !== undefined && received < size) throw mismatch(key, size, String(received));
    if (filled > 0) flush();
  } finally {
    await Promise.all(underWay);
  }
  if (failure !== undefined) throw failure.error;
  if (received % BLOCK_BYTES !== 0) await file.truncate(received);
  return received;
}
