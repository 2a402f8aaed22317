import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rm, stat, statfs, unlink, writeFile } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import { BlobError, type MultipartShape, type PartStat } from '../../ports/blob-store.ts';
import type { Clock } from '../../ports/clock.ts';
import { mismatch, writeStream } from './blob-writing.ts';
import { syncDirectory } from './durable-file.ts';
import type { FileDigest, FileDigests } from './file-digests.ts';

/**
 * An upload is a directory: `upload.json`, `data` with every part in its place, and in `parts/` one empty file for
 * each part that is durable, named `<number>-<size>-<etag>`: made in one step, after the data was flushed.
 */
interface Upload {
  readonly directory: string;
  readonly description: UploadDescription;
  readonly parts: Map<number, PartStat>;
  readonly writing: Map<number, { stop: AbortController; ended: Promise<unknown> }>;
  /** The first parts are hashed while others still arrive, so that completing seldom reads them again. */
  digest: { readonly sha256: FileDigest; parts: number };
  readonly digests: FileDigests;
  hashing: Promise<void>;
  closed: boolean;
}

interface UploadDescription extends MultipartShape {
  readonly format: 1;
  readonly key: string;
}

/** An upload that got no part for so many milliseconds is removed when the store is opened. */
const FORGOTTEN_AFTER = 7 * 24 * 60 * 60 * 1000;

/** The unfinished multipart uploads in a directory. */
export function blobUploads(root: string, clock: Clock, digests: FileDigests) {
  const known = new Map<string, Promise<Upload>>();

  const find = async (key: string, uploadId: string): Promise<Upload> => {
    let found = known.get(uploadId);
    if (found === undefined) {
      found = load(root, key, uploadId, digests);
      known.set(uploadId, found);
      found.catch(() => known.delete(uploadId));
    }
    const upload = await found;
    if (upload.closed || upload.description.key !== key) throw unknownUpload(key, uploadId);
    return upload;
  };

  const create = async (key: string, { size, partSize }: MultipartShape): Promise<string> => {
    if (!(Number.isSafeInteger(size) && size >= 0 && Number.isSafeInteger(partSize) && partSize > 0)) {
      throw new RangeError(`an upload of ${size} bytes in parts of ${partSize}`);
    }
    const disk = await statfs(root);
    if (disk.bavail * disk.bsize < size) throw new BlobError('NO_SPACE', key, `${size} bytes do not fit`);
    const uploadId = randomBytes(16).toString('hex');
    const directory = `${root}/${uploadId}`;
    const description: UploadDescription = { format: 1, key, size, partSize };
    await mkdir(`${directory}/parts`, { recursive: true });
    await writeFile(`${directory}/data`, '', { flush: true });
    await writeFile(`${directory}/upload.json`, JSON.stringify(description), { flush: true });
    await syncDirectory(directory);
    await syncDirectory(root);
    return uploadId;
  };

  /** @throws BlobError `SIZE_MISMATCH` if the part is not as long as its number says; then it is not there */
  const writePart = async (
    key: string,
    uploadId: string,
    number: number,
    source: Readable,
  ): Promise<PartStat> => {
    const upload = await find(key, uploadId);
    const size = sizeOf(upload.description, number);
    if (size === undefined) throw new BlobError('SIZE_MISMATCH', key, `there is no part ${number}`);
    // A client that sends a part again has given up the connection it sent it on before.
    while (upload.writing.has(number)) await stopWriting(upload, number);
    if (upload.closed) throw unknownUpload(key, uploadId);
    const stop = new AbortController();
    addAbortSignal(stop.signal, source);
    const written = replacePart(upload, number, size, source);
    upload.writing.set(number, { stop, ended: written.catch(() => undefined) });
    try {
      return await written;
    } finally {
      upload.writing.delete(number);
      // What goes wrong here goes wrong again, and is told, when the upload is completed.
      hashAhead(upload).catch(() => undefined);
    }
  };

  const listParts = async (key: string, uploadId: string): Promise<PartStat[]> => {
    const upload = await find(key, uploadId);
    return [...upload.parts.values()].sort((a, b) => a.number - b.number);
  };

  /** Hands the whole file, durable and with its digest, to `place`, which moves it away. */
  const complete = async <T>(
    key: string,
    uploadId: string,
    parts: readonly PartStat[],
    place: (path: string, sha256: string) => Promise<T>,
  ): Promise<T> => {
    const upload = await find(key, uploadId);
    upload.closed = true;
    try {
      // Nobody may hold the file open for writing once it is visible.
      while (upload.writing.size > 0) {
        await Promise.all([...upload.writing.keys()].map((number) => stopWriting(upload, number)));
      }
      requireParts(upload, parts);
      await hashAhead(upload);
      const result = await place(`${upload.directory}/data`, await upload.digest.sha256.value());
      await remove(uploadId, upload);
      return result;
    } catch (error) {
      upload.closed = false;
      throw error;
    }
  };

  const abort = async (key: string, uploadId: string): Promise<void> => {
    let upload: Upload;
    try {
      upload = await find(key, uploadId);
    } catch (error) {
      if (error instanceof BlobError && error.code === 'NOT_FOUND') return;
      throw error;
    }
    upload.closed = true;
    while (upload.writing.size > 0) {
      await Promise.all([...upload.writing.keys()].map((number) => stopWriting(upload, number)));
    }
    await remove(uploadId, upload);
  };

  const remove = async (uploadId: string, upload: Upload): Promise<void> => {
    await rm(upload.directory, { recursive: true, force: true });
    upload.digest.sha256.end();
    known.delete(uploadId);
  };

  /** Removes uploads that nobody has continued for a week. */
  const sweep = async (): Promise<void> => {
    for (const name of await readdir(root)) {
      const directory = `${root}/${name}`;
      const parts = await stat(`${directory}/parts`).catch(() => stat(directory));
      if (clock.now() - parts.mtimeMs > FORGOTTEN_AFTER)
        await rm(directory, { recursive: true, force: true });
    }
  };

  return { create, writePart, listParts, complete, abort, sweep };
}

const unknownUpload = (key: string, uploadId: string) =>
  new BlobError('NOT_FOUND', key, `there is no upload ${uploadId}`);

async function load(root: string, key: string, uploadId: string, digests: FileDigests): Promise<Upload> {
  if (!/^[0-9a-f]{32}$/.test(uploadId)) throw unknownUpload(key, uploadId);
  const directory = `${root}/${uploadId}`;
  try {
    await stat(`${directory}/data`);
    const description = JSON.parse(await readFile(`${directory}/upload.json`, 'utf8')) as UploadDescription;
    const parts = (await readdir(`${directory}/parts`)).map(fromFileName);
    return {
      directory,
      description,
      parts: new Map(parts.map((part) => [part.number, part])),
      writing: new Map(),
      digests,
      digest: { sha256: digests.begin(), parts: 0 },
      hashing: Promise.resolve(),
      closed: false,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw unknownUpload(key, uploadId);
    throw error;
  }
}

const fileName = ({ number, size, etag }: PartStat) => `${number}-${size}-${etag}`;

function fromFileName(name: string): PartStat {
  const [number, size, etag = ''] = name.split('-');
  return { number: Number(number), size: Number(size), etag };
}

/** How long a part must be; undefined if the upload has no such part. */
function sizeOf({ size, partSize }: MultipartShape, number: number): number | undefined {
  if (!Number.isSafeInteger(number) || number < 1) return undefined;
  const before = partSize * (number - 1);
  return number === 1 || before < size ? Math.min(partSize, size - before) : undefined;
}

async function stopWriting(upload: Upload, number: number): Promise<void> {
  const writing = upload.writing.get(number);
  writing?.stop.abort();
  await writing?.ended;
}

async function replacePart(
  upload: Upload,
  number: number,
  size: number,
  source: Readable,
): Promise<PartStat> {
  const { directory, description } = upload;
  const before = upload.parts.get(number);
  if (before !== undefined) {
    // What is half written over must count neither as there nor as hashed.
    upload.parts.delete(number);
    hashAnew(upload);
    await unlink(`${directory}/parts/${fileName(before)}`);
    await syncDirectory(`${directory}/parts`);
  }
  const part: PartStat = { number, size, etag: randomBytes(16).toString('hex') };
  const data = await open(`${directory}/data`, 'r+');
  try {
    const bytes = source.iterator({ destroyOnReturn: false });
    await writeStream(data, description.key, bytes, {
      position: description.partSize * (number - 1),
      size,
    });
    await data.datasync();
  } finally {
    await data.close();
  }
  await writeFile(`${directory}/parts/${fileName(part)}`, '');
  await syncDirectory(`${directory}/parts`);
  upload.parts.set(number, part);
  return part;
}

function requireParts({ description, parts }: Upload, listed: readonly PartStat[]): void {
  const { key, size } = description;
  let found = 0;
  for (let number = 1; number === 1 || sizeOf(description, number) !== undefined; number++) {
    const part = parts.get(number);
    if (
      part === undefined ||
      listed[number - 1]?.number !== number ||
      listed[number - 1]?.etag !== part.etag
    ) {
      throw new BlobError('PART_MISSING', key, `part ${number}`);
    }
    found += part.size;
  }
  if (found !== size) throw mismatch(key, size, String(found));
}

/** Brings the digest as far as parts are there without a gap, behind what was started before. */
function hashAhead(upload: Upload): Promise<void> {
  const run = upload.hashing.then(() => hashReady(upload));
  upload.hashing = run.catch(() => undefined);
  return run;
}

async function hashReady(upload: Upload): Promise<void> {
  const { digest, parts, description } = upload;
  const path = `${upload.directory}/data`;
  try {
    for (let part = parts.get(digest.parts + 1); part; part = parts.get(digest.parts + 1)) {
      const start = description.partSize * (part.number - 1);
      await digest.sha256.add({ path, start, length: part.size });
      // A part that is being replaced made the digest another one.
      if (upload.digest !== digest) return;
      digest.parts = part.number;
    }
  } catch (error) {
    if (upload.digest === digest) hashAnew(upload);
    throw error;
  }
}

function hashAnew(upload: Upload): void {
  upload.digest.sha256.end();
  upload.digest = { sha256: upload.digests.begin(), parts: 0 };
}
