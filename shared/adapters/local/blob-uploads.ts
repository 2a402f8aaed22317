import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rm, stat, statfs, unlink, writeFile } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import {
  BlobError,
  type BlobStat,
  type KnownShape,
  type MultipartShape,
  type PartStat,
  type StreamOptions,
} from '../../ports/blob-store.ts';
import type { Clock } from '../../ports/clock.ts';
import { mismatch, writeStream } from './blob-writing.ts';
import { syncDirectory } from './durable-file.ts';
import type { FileDigest, FileDigests } from './file-digests.ts';

/**
 * An upload is a directory: `upload.json`, `data` with every part in its place, and in `parts/` one empty file for
 * each part that is durable, named `<number>-<size>-<etag>`: made in one step, after the data was flushed. Where the
 * sizes are not known, the last of several parts is in `last` until all are there: it may come before its place is known.
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
  /** What the request that puts it together will have. */
  completing: Promise<BlobStat> | undefined;
  /** The size of all parts but the last, once it is known. */
  partSize: number | undefined;
}

type UploadDescription = MultipartShape & { readonly format: 1; readonly key: string };

/** An upload that got no part for so many milliseconds is removed when the store is opened. */
const FORGOTTEN_AFTER = 7 * 24 * 60 * 60 * 1000;

/** The unfinished multipart uploads in a directory. */
export function blobUploads(root: string, clock: Clock, digests: FileDigests) {
  const known = new Map<string, Promise<Upload>>();

  /** @param also one that is just being put together */
  const find = async (key: string, uploadId: string, also?: 'completing'): Promise<Upload> => {
    let found = known.get(uploadId);
    if (found === undefined) {
      found = load(root, key, uploadId, digests);
      known.set(uploadId, found);
      found.catch(() => known.delete(uploadId));
    }
    const upload = await found;
    const isOpen = !upload.closed || (also !== undefined && upload.completing !== undefined);
    if (!isOpen || upload.description.key !== key) throw unknownUpload(key, uploadId);
    return upload;
  };

  const create = async (key: string, shape: MultipartShape): Promise<string> => {
    requireShape(shape);
    const disk = await statfs(root);
    if ('size' in shape && disk.bavail * disk.bsize < shape.size)
      throw new BlobError('NO_SPACE', key, `${shape.size} bytes do not fit`);
    const uploadId = randomBytes(16).toString('hex');
    const directory = `${root}/${uploadId}`;
    const description: UploadDescription = { format: 1, key, ...shape };
    await mkdir(`${directory}/parts`, { recursive: true });
    await writeFile(`${directory}/data`, '', { flush: true });
    if ('parts' in shape) await writeFile(`${directory}/last`, '', { flush: true });
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
    { size: announced, release }: StreamOptions = {},
  ): Promise<PartStat> => {
    const upload = await find(key, uploadId);
    // A client that sends a part again has given up the connection it sent it on before.
    while (upload.writing.has(number)) await stopWriting(upload, number);
    if (upload.closed) throw unknownUpload(key, uploadId);
    const size = sizeOf(upload, number, announced);
    if (size === undefined) throw new BlobError('SIZE_MISMATCH', key, `there is no part ${number}`);
    // One that was sent before is not given up for it.
    if (announced !== undefined && announced !== size) throw mismatch(key, size, String(announced));
    const stop = new AbortController();
    addAbortSignal(stop.signal, source);
    const written = replacePart(upload, number, source, { size, release });
    upload.writing.set(number, { stop, ended: written.catch(() => undefined) });
    try {
      return await written;
    } finally {
      upload.writing.delete(number);
      forgetPartSize(upload);
      // What goes wrong here goes wrong again, and is told, when the upload is completed.
      hashAhead(upload).catch(() => undefined);
    }
  };

  const listParts = async (key: string, uploadId: string): Promise<PartStat[]> => {
    const upload = await find(key, uploadId, 'completing');
    return [...upload.parts.values()].sort((a, b) => a.number - b.number);
  };

  type Place = (path: string, sha256: string) => Promise<BlobStat>;

  /**
   * Hands the whole file, durable and with its digest, to `place`, which moves it away. Who asks for it while another one is
   * at it gets the same.
   */
  const complete = async (
    key: string,
    uploadId: string,
    parts: readonly PartStat[],
    place: Place,
  ): Promise<BlobStat> => {
    const upload = await find(key, uploadId, 'completing');
    if (upload.completing) return upload.completing;
    upload.completing = putTogether(uploadId, upload, parts, place);
    try {
      return await upload.completing;
    } finally {
      upload.completing = undefined;
    }
  };

  const putTogether = async (
    uploadId: string,
    upload: Upload,
    parts: readonly PartStat[],
    place: Place,
  ): Promise<BlobStat> => {
    upload.closed = true;
    try {
      // Nobody may hold the file open for writing once it is visible.
      while (upload.writing.size > 0) {
        await Promise.all([...upload.writing.keys()].map((number) => stopWriting(upload, number)));
      }
      requireParts(upload, parts);
      await hashAhead(upload);
      await placeLast(upload);
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
      completing: undefined,
      partSize:
        'parts' in description
          ? parts.find(({ number }) => number < description.parts)?.size
          : description.partSize,
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

function requireShape(shape: MultipartShape): void {
  const isCount = (number: number, least: number) => Number.isSafeInteger(number) && number >= least;
  if ('parts' in shape ? isCount(shape.parts, 1) : isCount(shape.size, 0) && isCount(shape.partSize, 1))
    return;
  throw new RangeError(`an upload of ${JSON.stringify(shape)}`);
}

/**
 * How long a part must be; undefined if the upload has no such part. Where the sizes are not known the first part but the
 * last that comes tells it for the others.
 * @throws BlobError `SIZE_MISMATCH` for a part that does not say how long it is where that is not known
 */
function sizeOf(upload: Upload, number: number, announced: number | undefined): number | undefined {
  const { description } = upload;
  if (!('parts' in description)) return knownSizeOf(description, number);
  if (!Number.isSafeInteger(number) || number < 1 || number > description.parts) return undefined;
  if (announced === undefined) {
    throw new BlobError('SIZE_MISMATCH', description.key, 'a part has to say its Content-Length');
  }
  if (number === description.parts) return announced;
  upload.partSize ??= announced;
  return upload.partSize;
}

function knownSizeOf({ size, partSize }: KnownShape, number: number): number | undefined {
  if (!Number.isSafeInteger(number) || number < 1) return undefined;
  const before = partSize * (number - 1);
  return number === 1 || before < size ? Math.min(partSize, size - before) : undefined;
}

/** A part that told the size of the others and did not arrive whole told nothing. */
function forgetPartSize(upload: Upload): void {
  const { description, parts, writing } = upload;
  if (!('parts' in description)) return;
  const tells = (number: number) => number < description.parts;
  if (![...parts.keys(), ...writing.keys()].some(tells)) upload.partSize = undefined;
}

/** Where a part's bytes are. */
function placeOf({ directory, description, partSize = 0 }: Upload, number: number) {
  const isLast = 'parts' in description && number === description.parts && number > 1;
  return isLast
    ? { path: `${directory}/last`, position: 0 }
    : { path: `${directory}/data`, position: partSize * (number - 1) };
}

/** Brings the last part behind the others; may be done again. */
async function placeLast(upload: Upload): Promise<void> {
  const { directory, description, parts, partSize = 0 } = upload;
  if (!('parts' in description)) return;
  const data = await open(`${directory}/data`, 'r+');
  try {
    const size = parts.get(description.parts)?.size ?? 0;
    const position = partSize * (description.parts - 1);
    if (description.parts > 1) {
      await writeStream(data, description.key, createReadStream(`${directory}/last`), { position, size });
    }
    // Of a part that was sent before, and was longer, nothing is left.
    await data.truncate(position + size);
  } finally {
    await data.close();
  }
}

async function stopWriting(upload: Upload, number: number): Promise<void> {
  const writing = upload.writing.get(number);
  writing?.stop.abort();
  await writing?.ended;
}

async function replacePart(
  upload: Upload,
  number: number,
  source: Readable,
  { size, release }: StreamOptions & { size: number },
): Promise<PartStat> {
  const { directory, description } = upload;
  const { path, position } = placeOf(upload, number);
  const before = upload.parts.get(number);
  if (before !== undefined) {
    // What is half written over must count neither as there nor as hashed.
    upload.parts.delete(number);
    hashAnew(upload);
    await unlink(`${directory}/parts/${fileName(before)}`);
    await syncDirectory(`${directory}/parts`);
  }
  const part: PartStat = { number, size, etag: randomBytes(16).toString('hex') };
  const file = await open(path, 'r+');
  try {
    const bytes = source.iterator({ destroyOnReturn: false });
    await writeStream(file, description.key, bytes, { position, size, release });
    if (path.endsWith('/last')) await file.truncate(size);
    await file.datasync();
  } catch (error) {
    if (isFull(error)) await file.truncate(path.endsWith('/last') ? 0 : endWithout(upload, number));
    throw error;
  } finally {
    await file.close();
  }
  await writeFile(`${directory}/parts/${fileName(part)}`, '');
  await syncDirectory(`${directory}/parts`);
  upload.parts.set(number, part);
  return part;
}

const isFull = (error: unknown) => ['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '');

/** Where the bytes of the other parts end: a full disk gets back what lies behind, or nothing could be removed from it. */
function endWithout({ description, parts, writing, partSize = 0 }: Upload, number: number): number {
  const others = [...parts.keys(), ...writing.keys()].filter((other) => other !== number);
  const last = Math.max(0, ...others);
  return 'size' in description ? Math.min(partSize * last, description.size) : partSize * last;
}

function requireParts({ description, parts }: Upload, listed: readonly PartStat[]): void {
  const { key } = description;
  let found = 0;
  const has = (number: number) =>
    'parts' in description ? number <= description.parts : knownSizeOf(description, number) !== undefined;
  for (let number = 1; number === 1 || has(number); number++) {
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
  if ('size' in description && found !== description.size) {
    throw mismatch(key, description.size, String(found));
  }
}

/** Brings the digest as far as parts are there without a gap, behind what was started before. */
function hashAhead(upload: Upload): Promise<void> {
  const run = upload.hashing.then(() => hashReady(upload));
  upload.hashing = run.catch(() => undefined);
  return run;
}

async function hashReady(upload: Upload): Promise<void> {
  const { digest, parts } = upload;
  try {
    for (let part = parts.get(digest.parts + 1); part; part = parts.get(digest.parts + 1)) {
      const { path, position: start } = placeOf(upload, part.number);
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
