import type { FileHandle } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { ERRORS, type ErrorCode } from '../../errors.ts';
import { BlobError } from '../../ports/blob-store.ts';
import { freeChunk } from '../../storage/free-chunk.ts';
import { contentDisposition } from '../content-disposition.ts';
import { BLOCK_BYTES } from './direct-writing.ts';
import type { FilesystemBlobStore, OpenBlob } from './filesystem-blob-store.ts';
import type { SignedAccess } from './signed-url.ts';

type Door = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/**
 * Answers requests to the filesystem store's signed URLs, below `/storage/`: GET and HEAD with ranges and conditions
 * (RFC 9110, 13 and 14), PUT of whole objects and of parts. A PUT that fails or is given up leaves nothing.
 * Errors are problem+json with a code of the table; when it answers INTERNAL it then rejects with the cause, for the
 * caller's log.
 */
export function storageDoor(store: FilesystemBlobStore): Door {
  return async (request, response) => {
    try {
      const verified = store.verifyUrl(request.url ?? '');
      if (!verified.ok) throw new Refusal('PERMISSION_DENIED', verified.reason);
      const { access } = verified;
      if (access.op === 'get') await get(store, access, request, response);
      else await put(store, access, request, response);
    } catch (error) {
      // Nobody waits for an answer any more.
      if (response.destroyed || request.errored) return;
      if (response.headersSent) {
        response.destroy();
        throw error;
      }
      const refusal = error instanceof Refusal ? error : refusalOf(error, request.method);
      answerProblem(response, refusal ?? new Refusal('INTERNAL', 'The store failed.'));
      // What is left of the body has to go before the client looks for the answer.
      request.resume();
      if (refusal === undefined) throw error;
    }
  };
}

async function get(
  store: FilesystemBlobStore,
  access: SignedAccess & { op: 'get' },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    throw new Refusal('METHOD_NOT_ALLOWED', `The URL is signed for GET, not ${request.method}.`, {
      Allow: 'GET, HEAD',
    });
  }
  const blob = await store.open(access.key);
  const { file, size, etag } = blob;
  try {
    const tag = `"${etag}"`;
    const headers: Record<string, string> = {
      'Accept-Ranges': 'bytes',
      ETag: tag,
      'Content-Type': access.contentType ?? 'application/octet-stream',
      'X-Content-Type-Options': 'nosniff',
      // What users stored must not run as a page of this server.
      'Content-Security-Policy': "default-src 'none'; sandbox",
    };
    if (access.filename !== undefined) headers['Content-Disposition'] = contentDisposition(access.filename);
    if (lists(request.headers['if-none-match'], tag)) {
      response.writeHead(304, headers).end();
      return;
    }
    const range = requestedRange(request, tag, size);
    const { start, end } = range ?? { start: 0, end: size };
    headers['Content-Length'] = String(end - start);
    if (range !== undefined) headers['Content-Range'] = `bytes ${start}-${end - 1}/${size}`;
    response.writeHead(range === undefined ? 200 : 206, headers);
    if (request.method === 'GET') await sendFrom(blob, start, end, response);
    response.end();
  } finally {
    await file.close();
  }
}

async function put(
  store: FilesystemBlobStore,
  access: SignedAccess & { op: 'put' | 'part' },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'PUT') {
    throw new Refusal('METHOD_NOT_ALLOWED', `The URL is signed for PUT, not ${request.method}.`, {
      Allow: 'PUT',
    });
  }
  const header = request.headers['content-length'];
  const announced = header === undefined ? undefined : Number(header);
  if (announced !== undefined && announced !== (access.size ?? announced)) {
    throw new Refusal('SIZE_MISMATCH', `The URL is signed for ${access.size} bytes, not ${announced}.`);
  }
  const max = access.op === 'part' ? access.max : undefined;
  if (max !== undefined && announced !== undefined && announced > max) {
    throw new Refusal('SIZE_MISMATCH', `The URL is signed for ${max} bytes at most, not ${announced}.`);
  }
  const { etag } =
    access.op === 'put'
      ? await store.put(access.key, request.iterator({ destroyOnReturn: false }), {
          size: access.size,
          release: freeChunk,
        })
      : await store.writePart(access.key, access.uploadId, access.number, request, {
          size: announced,
          release: freeChunk,
        });
  response.writeHead(200, { ETag: `"${etag}"`, 'Content-Length': '0' }).end();
}

class Refusal extends Error {
  readonly code: ErrorCode;
  readonly headers: Record<string, string>;
  constructor(code: ErrorCode, detail: string, headers: Record<string, string> = {}) {
    super(detail);
    this.code = code;
    this.headers = headers;
  }
}

function refusalOf(error: unknown, method: string | undefined): Refusal | undefined {
  if (!(error instanceof BlobError)) return undefined;
  switch (error.code) {
    case 'NOT_FOUND':
      return method === 'PUT'
        ? new Refusal('UPLOAD_NOT_FOUND', 'There is no such upload.')
        : new Refusal('FILE_NOT_FOUND', 'There is no such object.');
    case 'SIZE_MISMATCH':
      return new Refusal('SIZE_MISMATCH', error.message);
    case 'NO_SPACE':
      return new Refusal('STORAGE_FULL', 'The disk that holds the objects is full.');
    case 'INVALID_KEY':
      return new Refusal('INVALID_ARGUMENT', error.message);
    default:
      return undefined;
  }
}

function answerProblem(response: ServerResponse, { code, message, headers }: Refusal): void {
  const { status, fix } = ERRORS[code];
  const body = JSON.stringify({ type: 'about:blank', title: code, status, code, detail: message, fix });
  response
    .writeHead(status, {
      ...headers,
      'Content-Type': 'application/problem+json',
      'Content-Length': Buffer.byteLength(body),
    })
    .end(body);
}

function lists(header: string | undefined, tag: string): boolean {
  if (header === undefined) return false;
  return header.split(',').some((entry) => ['*', tag].includes(entry.trim().replace(/^W\//, '')));
}

/**
 * The one range that is asked for, `end` exclusive. Several ranges, what is no byte range and a range of another
 * state (If-Range) are answered with the whole (RFC 9110, 14.2).
 */
function requestedRange(
  { headers, method }: IncomingMessage,
  tag: string,
  size: number,
): { start: number; end: number } | undefined {
  const condition = headers['if-range'];
  if (method !== 'GET' || (condition !== undefined && condition !== tag)) return undefined;
  const [, first, last] = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '') ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(Number(last) + 1, size);
  if (start < end) return { start, end };
  throw new Refusal('RANGE_NOT_SATISFIABLE', `The object has ${size} bytes.`, {
    'Content-Range': `bytes */${size}`,
  });
}

const BUFFER_BYTES = 512 * 1024;
const BUFFERS_KEPT = 16;
const kept: Uint8Array[] = [];
/** A disk answers several reads at a time sooner than one after the other; the page cache gains nothing by it. */
const DIRECT_READS = 6;

/** What a file is read through: memory that is free, and how many reads are under way. */
interface Reading {
  take(): Uint8Array;
  give(buffer: Uint8Array): void;
  readonly ahead: number;
}

const cached: Reading = {
  take: () => kept.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES),
  give: (buffer) => void (kept.length < BUFFERS_KEPT && kept.push(buffer)),
  ahead: 1,
};

function through(memory: SharedArrayBuffer): Reading {
  const length = memory.byteLength / (DIRECT_READS + 2);
  const free: Uint8Array[] = Array.from(
    { length: DIRECT_READS + 2 },
    (_, n) => new Uint8Array(memory, n * length, length),
  );
  return {
    take: () => free.pop() ?? new Uint8Array(),
    give: (buffer) => void free.push(buffer),
    ahead: DIRECT_READS,
  };
}

async function sendFrom(blob: OpenBlob, start: number, end: number, response: ServerResponse): Promise<void> {
  const direct = start === 0 && end === blob.size ? await blob.unread() : undefined;
  if (!direct) return send(blob.file, start, end, response, cached);
  try {
    await send(direct.file, start, end, response, through(direct.memory));
  } catch (error) {
    await direct.close('lost');
    throw error;
  }
  await direct.close();
}

/**
 * Copies a file's bytes to the response, reading the next while the socket takes the ones before. As O_DIRECT wants it,
 * it reads whole blocks, from the first on if `start` is one's.
 */
async function send(
  file: FileHandle,
  start: number,
  end: number,
  response: ServerResponse,
  { take, give, ahead }: Reading,
): Promise<void> {
  let at = start;
  const underWay: Promise<{ buffer: Uint8Array; length: number }>[] = [];
  const read = async (from: number, buffer: Uint8Array) => {
    const length = Math.min(buffer.length, end - from);
    for (let found = 0; found < length; ) {
      const { bytesRead } = await file.read(buffer, found, buffer.length - found, from + found);
      if (bytesRead === 0) throw new Error('the blob became shorter while it was sent');
      found += found + bytesRead < length ? bytesRead - (bytesRead % BLOCK_BYTES) : bytesRead;
      if (bytesRead < BLOCK_BYTES && found < length) throw new Error('the blob cannot be read in blocks');
    }
    return { buffer, length };
  };
  const readOn = () => {
    while (at < end && underWay.length < ahead) {
      const buffer = take();
      const reading = read(at, buffer);
      // Told when its turn comes.
      reading.catch(() => undefined);
      underWay.push(reading);
      at += buffer.length;
    }
  };
  readOn();
  try {
    for (let next = underWay.shift(); next; next = underWay.shift()) {
      const { buffer, length } = await next;
      readOn();
      await write(response, buffer.subarray(0, length));
      give(buffer);
    }
  } finally {
    await Promise.allSettled(underWay);
  }
}

/** Resolves when the socket has taken the bytes and the buffer is free again. */
function write(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const closed = () => reject(new Error('the client has gone'));
    response.once('close', closed);
    response.write(bytes, (error) => {
      response.off('close', closed);
      if (error) reject(error);
      else resolve();
    });
  });
}
