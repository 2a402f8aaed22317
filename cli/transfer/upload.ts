import { createReadStream } from 'node:fs';
import type { SignedPart, Upload, UploadFile, Version } from '../api.ts';
import { CliError, hasCode } from '../cli-error.ts';
import { type Client, failureOf, path } from '../client.ts';
import {
  isTransientStatus,
  pause,
  readText,
  retryAfterOf,
  send,
  Transient,
  unreachable,
  withRetries,
} from '../http.ts';
import { type ModelRef, modelPath } from '../model-ref.ts';
import type { Output } from '../output.ts';
import { plural } from '../output.ts';
import { type Progress, startProgress } from '../progress.ts';
import type { HashedFile } from './digest.ts';
import { refuseChanged } from './folder.ts';
import { inParallel } from './parallel.ts';
import { newUploadState, readUploadState, removeUploadState, writeUploadState } from './upload-state.ts';

/** Words that go with a version. */
export interface Draft {
  readonly message?: string;
  readonly description?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly source?: Readonly<Record<string, string>>;
}

interface Push {
  readonly client: Client;
  readonly ref: ModelRef;
  readonly files: readonly HashedFile[];
  readonly draft: Draft;
  readonly output: Output;
  readonly signal: AbortSignal;
  /** Where this push is remembered. */
  readonly stateFile: string;
}

const PARALLEL = 4;
/** A server verifies big files before it answers. */
const VERIFY_SILENCE = 6 * 3600_000;
const COMPLETE_ATTEMPTS = 3;
/** Milliseconds between two looks at a version that is being verified. */
const VERIFY_POLL = 1000;

/**
 * Sends the files part by part, four at a time, and answers the READY version. An interrupted push goes on where it
 * stopped when it is called again with the same files and words.
 * @throws CliError `FILE_CHANGED`, `DIGEST_MISMATCH`; then the upload is given up
 */
export async function upload(push: Push): Promise<Version> {
  const { client, ref, stateFile } = push;
  let current = await openUpload(push);
  const address = modelPath(ref) + path`/uploads/${current.id}`;
  try {
    for (let attempt = 1; ; attempt++) {
      if (current.state === 'OPEN') await sendMissing(push, address, current);
      for (const file of push.files) await refuseChanged(file);
      push.output.note('Verifying …');
      try {
        const { body } = await client.call<Version>({
          method: 'POST',
          path: `${address}/complete`,
          silence: VERIFY_SILENCE,
        });
        const version = await awaitVerified(push, body);
        await removeUploadState(stateFile);
        return version;
      } catch (error) {
        if (!hasCode(error, 'UPLOAD_INCOMPLETE') || attempt === COMPLETE_ATTEMPTS) throw error;
        current = await client.get<Upload>(address);
      }
    }
  } catch (error) {
    if (hasCode(error, 'FILE_CHANGED')) await client.delete(address).catch(() => undefined);
    if (hasCode(error, 'FILE_CHANGED', ...GIVEN_UP)) await removeUploadState(stateFile);
    if (hasCode(error, 'DIGEST_MISMATCH', 'SIZE_MISMATCH')) {
      const fix = 'A file changed while it was being sent, or was damaged on the way: push again.';
      throw new CliError({ ...error.problem, fix }, error.exitCode);
    }
    throw error;
  }
}

/** Waits while a server that verifies in the background does. @throws CliError `MODEL_FILE_INVALID` with why it FAILED */
async function awaitVerified({ client, ref, signal }: Push, version: Version): Promise<Version> {
  let current = version;
  while (current.status === 'PENDING') {
    await pause(VERIFY_POLL, signal);
    current = await client.get<Version>(modelPath(ref) + path`/versions/${version.version}`);
  }
  if (current.status === 'READY') return current;
  const detail = current.failure ?? `Version ${version.version} is ${current.status}.`;
  throw new CliError({ code: 'MODEL_FILE_INVALID', detail, fix: 'Push again when what it names is mended.' });
}

/** Errors after which the server has given the upload up. */
const GIVEN_UP = ['DIGEST_MISMATCH', 'SIZE_MISMATCH', 'MODEL_FILE_INVALID', 'UPLOAD_NOT_FOUND'];

/** The upload that an earlier run began, or a new one. */
async function openUpload(push: Push): Promise<Upload> {
  const { client, ref, stateFile, output } = push;
  const uploads = `${modelPath(ref)}/uploads`;
  const state = await readUploadState(stateFile);
  if (state?.upload !== undefined) {
    try {
      const found = await client.get<Upload>(uploads + path`/${state.upload}`);
      if (found.state !== 'ABORTED') {
        output.note(`Going on with the upload that was interrupted (version ${found.version}).`);
        return found;
      }
    } catch (error) {
      if (!hasCode(error, 'UPLOAD_NOT_FOUND')) throw error;
    }
  }
  const begun = state && state.upload === undefined ? state : newUploadState();
  await writeUploadState(stateFile, begun);
  try {
    const { body } = await client.call<Upload>({
      method: 'POST',
      path: uploads,
      body: { files: push.files.map(({ path, size, sha256 }) => ({ path, size, sha256 })), ...push.draft },
      idempotencyKey: begun.idempotencyKey,
    });
    await writeUploadState(stateFile, { ...begun, upload: body.id });
    return body;
  } catch (error) {
    // A refusal would be the answer to this key for ever.
    if (error instanceof CliError && (error.problem.status ?? 500) < 500) await removeUploadState(stateFile);
    throw error;
  }
}

interface Part {
  readonly file: HashedFile;
  readonly number: number;
  readonly start: number;
  readonly size: number;
}

async function sendMissing(push: Push, address: string, { files }: Upload): Promise<void> {
  const byPath = new Map(push.files.map((file) => [file.path, file]));
  const parts = files.flatMap((file) => missingParts(file, byPath.get(file.path)));
  const total = push.files.reduce((sum, { size }) => sum + size, 0);
  const left = parts.reduce((sum, { size }) => sum + size, 0);
  if (parts.length === 0) return push.output.note('Nothing to send: the model has these bytes already.');
  if (left < total)
    push.output.note(`${plural(parts.length, 'part')} left to send; the rest is there already.`);
  const progress = startProgress(push.output, 'Sending', total);
  progress.add(total - left);
  try {
    await inParallel(parts, PARALLEL, push.signal, (part, signal) =>
      sendPart(push, address, part, progress, signal),
    );
  } finally {
    progress.end();
  }
}

function missingParts(planned: UploadFile, file: HashedFile | undefined): Part[] {
  if (planned.done || !file) return [];
  const received = new Set(planned.received);
  return Array.from({ length: planned.parts }, (_, index): Part => {
    const start = index * planned.partSize;
    return { file, number: index + 1, start, size: Math.min(planned.partSize, file.size - start) };
  }).filter(({ number }) => !received.has(number));
}

/** Sends one part to a URL signed just before, so that none expires while others are sent. */
async function sendPart(
  push: Push,
  address: string,
  part: Part,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const { client } = push;
  const { file, number, start, size } = part;
  await refuseChanged(file);
  await withRetries(signal, async () => {
    const { items } = await client.post<{ items: SignedPart[] }>(`${address}/parts`, {
      path: file.path,
      from: number,
      count: 1,
    });
    const [signed] = items;
    if (!signed)
      throw new CliError({
        code: 'UNEXPECTED_ANSWER',
        detail: `The server signed no URL for part ${number}.`,
      });
    const url = new URL(signed.url, client.url);
    let sent = 0;
    const count = (bytes: number) => {
      sent += bytes;
      progress.add(bytes);
    };
    try {
      await put(url, file.file, { start, size, signal, count });
    } catch (error) {
      progress.add(-sent);
      throw error;
    }
  });
}

async function put(
  url: URL,
  file: string,
  part: { start: number; size: number; signal: AbortSignal; count: (bytes: number) => void },
): Promise<void> {
  const { start, size, signal, count } = part;
  let answer: Awaited<ReturnType<typeof send>>;
  let text: string;
  try {
    const body = size === 0 ? new Uint8Array() : { stream: readPart(file, start, size, count), length: size };
    answer = await send({ method: 'PUT', url, signal, body });
    text = await readText(answer, 10_000);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CliError) throw error;
    throw new Transient(unreachable(new URL(url.origin), error));
  }
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return;
  const failure = failureOf(new URL(url.origin), answer, text);
  // 403: the URL has expired meanwhile; the next attempt has a fresh one.
  if ([403, 500].includes(status) || isTransientStatus(status))
    throw new Transient(failure, retryAfterOf(answer));
  throw failure;
}

function readPart(file: string, start: number, size: number, count: (bytes: number) => void) {
  const stream = createReadStream(file, { start, end: start + size - 1, highWaterMark: 1024 * 1024 });
  return stream.on('data', (chunk) => count(chunk.length)).pause();
}
