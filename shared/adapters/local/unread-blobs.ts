import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { toStat } from './blob-stat.ts';
import type { Rings } from './direct-writing.ts';

/** A blob opened with O_DIRECT: whole blocks are read, into this memory. */
export interface UnreadBlob {
  readonly file: FileHandle;
  readonly memory: SharedArrayBuffer;
  /** `lost` when something may still read the memory. */
  close(lost?: 'lost'): Promise<void>;
}

export interface UnreadBlobs {
  add(etag: string): void;
  /** Opens the file for its first read; undefined when it was read before, or when it is another one meanwhile. */
  open(path: string, etag: string): Promise<UnreadBlob | undefined>;
}

/** Blobs written last; of what is older it does not matter where it is read from. */
const REMEMBERED = 10_000;

/** Which blobs were written past the page cache and have not been read since. */
export function unreadBlobs(memory: Rings): UnreadBlobs {
  const unread = new Set<string>();
  return {
    add(etag) {
      if (unread.size >= REMEMBERED) unread.clear();
      unread.add(etag);
    },
    async open(path, etag) {
      if (!unread.delete(etag)) return undefined;
      const ring = await memory.take();
      if (!ring) return undefined;
      // Whatever fails here is told by the read through the page cache that follows.
      const file = await open(path, constants.O_RDONLY | constants.O_DIRECT).catch(() => undefined);
      const found = await file?.stat({ bigint: true }).catch(() => undefined);
      // The key may have got another file meanwhile.
      if (file && found && toStat(found).etag === etag) {
        const close = async (lost?: 'lost') => {
          memory.give(ring, lost);
          await file.close();
        };
        return { file, memory: ring, close };
      }
      memory.give(ring);
      await file?.close();
      return undefined;
    },
  };
}
