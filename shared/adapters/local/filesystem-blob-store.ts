import { createHash, randomBytes } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import {
  chmod,
  copyFile,
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  rename,
  rm,
  stat,
} from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import type { Readable } from 'node:stream';
import {
  BlobError,
  type BlobStat,
  type BlobStore,
  type ByteRange,
  type PartStat,
  type PutOptions,
  type StreamOptions,
} from '../../ports/blob-store.ts';
import type { Clock } from '../../ports/clock.ts';
import { PART_BYTES_MAX } from '../../storage/part-plan.ts';
import { blobDirectories } from './blob-directories.ts';
import { replayJournals } from './blob-journal.ts';
import { blobPath } from './blob-key.ts';
import { blobKeys } from './blob-listing.ts';
import { toStat } from './blob-stat.ts';
import { blobUploads } from './blob-uploads.ts';
import { mismatch } from './blob-writing.ts';
import { DIRECT, rings } from './direct-writing.ts';
import { syncDirectory } from './durable-file.ts';
import { fileDigests } from './file-digests.ts';
import { writeHashed } from './hashed-writing.ts';
import { JOURNALED_MAX, journaledPuts } from './journaled-puts.ts';
import { removedFiles } from './removed-files.ts';
import { urlSigner, type Verified } from './signed-url.ts';
import { type UnreadBlob, unreadBlobs } from './unread-blobs.ts';

export interface FilesystemBlobStoreOptions {
  readonly root: string;
  /** Where the storage door is reached: `http://127.0.0.1:7070`. Asked at each signature. */
  readonly baseUrl: () => string;
  readonly signingKey: Uint8Array;
  readonly clock: Clock;
}

/** A blob opened for reading: it stays what it is, whatever happens to its key. The caller closes the file. */
export interface OpenBlob {
  readonly file: FileHandle;
  readonly size: number;
  readonly etag: string;
  /**
   * A file that is read for the first time since it was written past the page cache is read past it too: only what is
   * asked for again is worth the memory. Undefined for every other one.
   */
  unread(): Promise<UnreadBlob | undefined>;
}

/** What the file system can do beyond the port: for the storage door and the process platform. */
export interface FilesystemBlobStore extends BlobStore {
  /**
   * Puts a blob's bytes at a path of the file system as a read-only file (mode 0444): a hard link where possible,
   * else a copy. @throws BlobError `NOT_FOUND`; EEXIST if something is there
   */
  linkBlob(key: string, targetPath: string): Promise<void>;
  /** @throws BlobError `NOT_FOUND` */
  open(key: string): Promise<OpenBlob>;
  /**
   * @param options `size` has to be said where the upload's sizes are not known
   * @throws BlobError `NOT_FOUND` for an unknown upload, `SIZE_MISMATCH`; then the part is not there
   */
  writePart(
    key: string,
    uploadId: string,
    number: number,
    source: Readable,
    options?: StreamOptions,
  ): Promise<PartStat>;
  /** What a signed URL's path and query permit. */
  verifyUrl(pathAndQuery: string): Verified;
}

const READ_BYTES = 256 * 1024;
/** Unfinished files older than this many milliseconds are removed when the store is opened. */
const UNFINISHED_AFTER = 24 * 60 * 60 * 1000;
/** Digests of the objects written last, so that what was hashed on its way in need not be read again. */
const DIGESTS_REMEMBERED = 10_000;
const MAX_PAGE = 1000;
/** Streams of at least so many bytes, or of an unknown number, are written past the page cache: smaller ones are read soon. */
const WRITTEN_DIRECTLY = 16 * 1024 * 1024;

/**
 * A BlobStore in a directory: `objects/<key>` are the visible objects, `unfinished/` and `uploads/` what is on its
 * way in, `removed/` what is on its way out. An object's file is complete, durable and read-only before it gets its name, and is never written again; small
 * objects named by their digest are durable in `journal/` first (see blob-journal-worker.ts).
 * A key that is also the beginning of another one up to a `/` is refused as INVALID_KEY.
 */
export async function openFilesystemBlobStore(
  options: FilesystemBlobStoreOptions,
): Promise<FilesystemBlobStore> {
  const { root, baseUrl, signingKey, clock } = options;
  const objects = `${root}/objects`;
  const unfinished = `${root}/unfinished`;
  const journals = `${root}/journal`;
  for (const directory of [objects, unfinished, `${root}/uploads`])
    await mkdir(directory, { recursive: true });
  for (const directory of [dirname(root), root]) await syncDirectory(directory);
  const removed = await removedFiles(`${root}/removed`);
  const unfinishedPath = () => `${unfinished}/${randomBytes(16).toString('hex')}`;
  const directories = blobDirectories(objects);
  const fileHashes = fileDigests();
  const uploads = blobUploads(`${root}/uploads`, clock, fileHashes);
  const journaled = journaledPuts({ objects, journals, unfinished });
  const signer = urlSigner(signingKey, baseUrl, clock);
  const direct = rings(unfinishedPath);
  const digests = new Map<string, string>();
  const unread = unreadBlobs(direct);
  await replayJournals(journals, objects, unfinished);
  await removeOld(unfinished, clock);
  await uploads.sweep();

  const pathOf = (key: string) => blobPath(objects, key);

  const remember = ({ etag, sha256 }: BlobStat) => {
    if (sha256 === undefined) return;
    if (digests.size >= DIGESTS_REMEMBERED) digests.clear();
    digests.set(etag, sha256);
  };

  /** Gives a finished file its name. */
  const place = async (file: string, key: string, ifAbsent: boolean): Promise<void> => {
    const path = pathOf(key);
    try {
      await directories.add(dirname(path), () => (ifAbsent ? link(file, path) : rename(file, path)));
    } catch (error) {
      throw writeError(error, key);
    }
  };

  /** A small object whose name is its digest. */
  const putJournaled = async (
    key: string,
    bytes: Uint8Array,
    sha256: string,
    ifAbsent: boolean,
  ): Promise<BlobStat> => {
    requireDigest(key, sha256, createHash('sha256').update(bytes).digest('hex'));
    const path = pathOf(key);
    try {
      if (ifAbsent && existsSync(path)) throw new BlobError('EXISTS', key);
      const entry = { path: relative(objects, path), bytes };
      const numbers = await directories.add(dirname(path), () => journaled.put(entry), { synced: true });
      const placed = { ...toStat(numbers), sha256 };
      remember(placed);
      return placed;
    } catch (error) {
      throw writeError(error, key);
    }
  };

  const put = async (
    key: string,
    bytes: Uint8Array | AsyncIterable<Uint8Array>,
    { sha256, size, release, ifAbsent = false }: PutOptions = {},
  ): Promise<BlobStat> => {
    pathOf(key);
    if (bytes instanceof Uint8Array) {
      if (size !== undefined && bytes.length !== size) throw mismatch(key, size, String(bytes.length));
      if (sha256 !== undefined && key.endsWith(`/${sha256}`) && bytes.length <= JOURNALED_MAX) {
        return putJournaled(key, bytes, sha256, ifAbsent);
      }
    }
    const path = unfinishedPath();
    const isLarge = !(bytes instanceof Uint8Array) && (size === undefined || size >= WRITTEN_DIRECTLY);
    const ring = isLarge ? await direct.take() : undefined;
    try {
      const file = await open(path, ring ? DIRECT : 'wx', 0o444);
      let stat: BlobStat;
      try {
        const found = await writeHashed(file, path, bytes, { key, size, release, hashes: fileHashes, ring });
        requireDigest(key, sha256, found);
        await file.sync();
        stat = { ...toStat(await file.stat({ bigint: true })), sha256: found };
      } finally {
        await file.close();
      }
      await place(path, key, ifAbsent);
      remember(stat);
      if (ring) unread.add(stat.etag);
      return stat;
    } catch (error) {
      throw writeError(error, key);
    } finally {
      if (ring) direct.give(ring);
      await rm(path, { force: true });
    }
  };

  const openBlob = async (key: string): Promise<OpenBlob> => {
    try {
      const file = await open(pathOf(key), 'r');
      const found = await file.stat({ bigint: true });
      const stat = toStat(found);
      if (found.isFile()) return { file, ...stat, unread: () => unread.open(pathOf(key), stat.etag) };
      await file.close();
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
    throw new BlobError('NOT_FOUND', key);
  };

  const copyTo = async (key: string, path: string, etag?: string): Promise<void> => {
    const from = pathOf(key);
    const requireSame = async (file: string) => {
      const found = await stat(file, { bigint: true });
      if (!found.isFile() || (etag !== undefined && toStat(found).etag !== etag))
        throw new BlobError('NOT_FOUND', key);
    };
    try {
      await requireSame(from);
      await link(from, path);
      // The key may have got another file meanwhile; which one was linked tells the link.
      await requireSame(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (isMissing(error)) throw new BlobError('NOT_FOUND', key);
      if (code !== 'EXDEV' && code !== 'EMLINK' && code !== 'EPERM' && code !== 'ENOTSUP') throw error;
      await copyFile(from, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
      await chmod(path, 0o444);
      const file = await open(path, 'r');
      await file.sync();
      await file.close();
    }
  };

  return {
    put,
    open: openBlob,
    linkBlob: copyTo,

    get: async (key, range) => {
      const blob = await openBlob(key);
      try {
        const { start, end } = withinRange(key, blob.size, range);
        return readRange(blob.file, start, end);
      } catch (error) {
        await blob.file.close();
        throw error;
      }
    },

    stat: async (key) => {
      try {
        const found = await stat(pathOf(key), { bigint: true });
        if (!found.isFile()) return undefined;
        const plain = toStat(found);
        const sha256 = digests.get(plain.etag);
        return sha256 === undefined ? plain : { ...plain, sha256 };
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },

    copy: async (from, to, { etag } = {}) => {
      pathOf(to);
      const path = unfinishedPath();
      try {
        await copyTo(from, path, etag);
        await place(path, to, false);
      } catch (error) {
        throw writeError(error, to);
      } finally {
        // rename(2) leaves both names when they are the same file already.
        await rm(path, { force: true });
      }
    },

    delete: async (key) => {
      const path = pathOf(key);
      await journaled.settle();
      try {
        await removed.unlink(path);
        await syncDirectory(dirname(path));
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (!isMissing(error) && code !== 'EISDIR' && code !== 'EPERM') throw error;
      }
      await directories.prune(dirname(path));
    },

    list: async (prefix, { after = '', limit = MAX_PAGE } = {}) => {
      const keys: string[] = [];
      let more = false;
      for await (const key of blobKeys(objects, prefix, after)) {
        more = keys.length === Math.min(limit, MAX_PAGE);
        if (more) break;
        keys.push(key);
      }
      const entries = await Promise.all(
        keys.map(async (key) => {
          // A link changes ctime and not mtime: what was copied just now is new.
          const found = await stat(pathOf(key)).catch(() => undefined);
          return found && { key, size: found.size, modifiedAt: Math.floor(found.ctimeMs) };
        }),
      );
      return { objects: entries.filter((entry) => entry !== undefined), more };
    },

    createMultipart: async (key, shape) => {
      pathOf(key);
      return {
        uploadId: await uploads.create(key, shape).catch((error) => Promise.reject(writeError(error, key))),
      };
    },
    writePart: (key, uploadId, number, source, options) =>
      uploads
        .writePart(key, uploadId, number, source, options)
        .catch((error) => Promise.reject(writeError(error, key))),
    listParts: uploads.listParts,
    completeMultipart: (key, uploadId, parts) =>
      uploads.complete(key, uploadId, parts, async (path, sha256) => {
        const file = await open(path, 'r+');
        let stat: BlobStat;
        try {
          await file.chmod(0o444);
          await file.sync();
          stat = { ...toStat(await file.stat({ bigint: true })), sha256 };
        } finally {
          await file.close();
        }
        await place(path, key, false);
        remember(stat);
        return stat;
      }),
    abortMultipart: uploads.abort,

    presignGet: async (key, { expiresIn, filename, contentType }) => {
      pathOf(key);
      return signer.sign(
        {
          op: 'get',
          key,
          ...(filename === undefined ? {} : { filename }),
          ...(contentType === undefined ? {} : { contentType }),
        },
        expiresIn,
      );
    },
    presignPut: async (key, { expiresIn, size }) => {
      pathOf(key);
      return signer.sign({ op: 'put', key, size }, expiresIn);
    },
    presignPart: async (key, uploadId, { number, size, expiresIn }) => {
      pathOf(key);
      const bound = size === undefined ? { max: PART_BYTES_MAX } : { size };
      return signer.sign({ op: 'part', key, uploadId, number, ...bound }, expiresIn);
    },
    verifyUrl: signer.verify,
  };
}

function requireDigest(key: string, expected: string | undefined, found: string): void {
  if (expected === undefined || found === expected) return;
  throw new BlobError('DIGEST_MISMATCH', key, `expected ${expected}, found ${found}`);
}

/** @throws BlobError `RANGE_NOT_SATISFIABLE` for a range that begins behind the last byte (RFC 9110, 14.1.1) */
function withinRange(
  key: string,
  size: number,
  range: ByteRange | undefined,
): { start: number; end: number } {
  if (range === undefined) return { start: 0, end: size };
  const { start, end = size - 1 } = range;
  if (!(start >= 0 && start < size && end >= start)) {
    throw new BlobError('RANGE_NOT_SATISFIABLE', key, `${start}-${range.end ?? ''} of ${size} bytes`);
  }
  return { start, end: Math.min(end + 1, size) };
}

async function* readRange(file: FileHandle, start: number, end: number): AsyncGenerator<Uint8Array> {
  try {
    for (let at = start; at < end; ) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_BYTES, end - at));
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      if (bytesRead === 0) throw new Error('the blob became shorter while it was read');
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

async function removeOld(directory: string, clock: Clock): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = `${directory}/${name}`;
    const { mtimeMs } = await stat(path);
    if (clock.now() - mtimeMs > UNFINISHED_AFTER) await rm(path, { force: true });
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function writeError(error: unknown, key: string): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new BlobError('NO_SPACE', key);
    case 'EEXIST':
      return new BlobError('EXISTS', key);
    case 'EISDIR':
    case 'ENOTDIR':
    case 'ENOTEMPTY':
      return new BlobError('INVALID_KEY', key, 'it and another key would be file and directory of one name');
    default:
      return error;
  }
}
