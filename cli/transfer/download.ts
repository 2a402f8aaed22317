import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { chmod, copyFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Artifact, SignedFile } from '../api.ts';
import { CliError } from '../cli-error.ts';
import { type Client, failureOf } from '../client.ts';
import {
  isTransientStatus,
  readText,
  retryAfterOf,
  send,
  Transient,
  unreachable,
  withRetries,
} from '../http.ts';
import type { Progress } from '../progress.ts';
import { hashInto } from './digest.ts';
import { inParallel } from './parallel.ts';
import { makeFolders, targetOf } from './target.ts';

interface Pull {
  readonly client: Client;
  /** The version's address in the API. */
  readonly version: string;
  readonly files: readonly Artifact[];
  readonly folder: string;
  /** Replace files that are there with other bytes. */
  readonly force: boolean;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

const PARALLEL = 4;
/** Unfinished files stand here under their digest, so that another run goes on with them. */
const PARTIAL_FOLDER = '.cairn-partial';

/**
 * Brings the files below `folder`, four at a time; each appears under its name whole and with the right SHA-256, or not
 * at all. What is there already is left as it is; what was begun is continued.
 * @throws CliError `PATH_REFUSED`, `FILE_EXISTS`, `DIGEST_MISMATCH`
 */
export async function download(pull: Pull): Promise<{ fetched: number; present: number }> {
  const { folder, progress, signal } = pull;
  const wanted = pull.files.map((file) => ({ ...file, target: targetOf(folder, file) }));
  const missing: typeof wanted = [];
  for (const file of wanted) {
    if (await isThere(file, file.target, pull)) progress.add(file.size);
    else missing.push(file);
  }
  const partials = join(folder, PARTIAL_FOLDER);
  await makeFolders(folder, `${PARTIAL_FOLDER}/part`);
  const byDigest = new Map<string, typeof wanted>();
  for (const file of missing) byDigest.set(file.sha256, [...(byDigest.get(file.sha256) ?? []), file]);
  await inParallel(byDigest.values(), PARALLEL, signal, async (same, signal) => {
    const [first, ...others] = same;
    if (!first) return;
    const partial = join(partials, `${first.sha256}.part`);
    await fetchVerified({ ...pull, signal }, first, partial);
    for (const other of others) {
      const copy = `${partial}.copy`;
      await copyFile(partial, copy);
      await place(folder, other, copy);
      progress.add(other.size);
    }
    await place(folder, first, partial);
  });
  await rmdir(partials).catch(() => undefined);
  return { fetched: missing.length, present: wanted.length - missing.length };
}

async function isThere(file: Artifact, target: string, { force, signal }: Pull): Promise<boolean> {
  const info = await stat(target).catch(() => undefined);
  if (!info) return false;
  if (info.isFile() && info.size === file.size && (await digestOf(target, signal)) === file.sha256)
    return true;
  if (force && info.isFile()) return false;
  throw new CliError({
    code: 'FILE_EXISTS',
    detail: `${target} is there already and differs from "${file.path}".`,
    fix: 'Pull into another folder, or add --force to replace it.',
  });
}

async function place(folder: string, file: Artifact & { target: string }, from: string): Promise<void> {
  await makeFolders(folder, file.path);
  if (file.mode?.endsWith('755')) await chmod(from, 0o755);
  await rename(from, file.target);
}

async function digestOf(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await hashInto(hash, file, { signal });
  return hash.digest('hex');
}

/** Fetches to `partial`, going on with what is there; a wrong digest gets one new attempt from the start. */
async function fetchVerified(pull: Pull, file: Artifact, partial: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const sha256 = await withRetries(pull.signal, () => fetchRest(pull, file, partial));
    if (sha256 === file.sha256) return;
    await rm(partial, { force: true });
    if (attempt === 2) {
      throw new CliError({
        code: 'DIGEST_MISMATCH',
        detail: `"${file.path}" arrived with the SHA-256 ${sha256}, not ${file.sha256}; it was thrown away.`,
        fix: 'The store or the way to it damages bytes: tell whoever runs the server.',
      });
    }
    pull.progress.add(-file.size);
  }
}

/** One attempt to get what is missing; answers the SHA-256 of the whole. */
async function fetchRest(pull: Pull, file: Artifact, partial: string): Promise<string> {
  const { client, version, progress, signal } = pull;
  const address = `${version}/files/${file.path.split('/').map(encodeURIComponent).join('/')}`;
  const signed = await client.get<SignedFile>(address, { redirect: 'false' });
  const hash = createHash('sha256');
  const kept = await resumable(partial, file.size);
  let at = kept;
  let counted = 0;
  const count = (bytes: number) => {
    counted += bytes;
    progress.add(bytes);
  };
  if (kept > 0) await hashInto(hash, partial, { signal });
  if (kept === file.size && kept > 0) {
    count(kept);
    return hash.digest('hex');
  }
  try {
    const url = new URL(signed.url, client.url);
    const answer = await send({
      method: 'GET',
      url,
      signal,
      headers: kept > 0 ? { range: `bytes=${kept}-` } : {},
    });
    const status = answer.statusCode ?? 0;
    if (status !== 200 && status !== 206) {
      const failure = failureOf(new URL(url.origin), answer, await readText(answer, 10_000));
      if ([403, 500].includes(status) || isTransientStatus(status))
        throw new Transient(failure, retryAfterOf(answer));
      throw failure;
    }
    const resumed = status === 206 && kept > 0;
    const whole = resumed ? hash : createHash('sha256');
    if (!resumed) at = 0;
    count(at);
    await pipeline(
      answer,
      async function* (chunks: AsyncIterable<Buffer>) {
        for await (const chunk of chunks) {
          at += chunk.length;
          if (at > file.size) throw tooLong(file);
          whole.update(chunk);
          count(chunk.length);
          yield chunk;
        }
      },
      createWriteStream(partial, { flags: resumed ? 'a' : 'w', flush: true }),
      { signal },
    );
    if (at < file.size) throw new Error(`the connection ended after ${at} of ${file.size} bytes`);
    return whole.digest('hex');
  } catch (error) {
    progress.add(-counted);
    signal.throwIfAborted();
    if (error instanceof CliError || error instanceof Transient || isDiskError(error)) throw error;
    throw new Transient(unreachable(client.url, error));
  }
}

/** Bytes of an earlier attempt that can be kept. */
async function resumable(partial: string, size: number): Promise<number> {
  const found = (await stat(partial).catch(() => undefined))?.size ?? 0;
  if (found <= size) return found;
  await rm(partial, { force: true });
  return 0;
}

const tooLong = (file: Artifact) =>
  new CliError({
    code: 'SIZE_MISMATCH',
    detail: `More than the ${file.size} bytes of "${file.path}" arrived.`,
  });

const isDiskError = (error: unknown) =>
  error instanceof Error &&
  ['ENOSPC', 'EACCES', 'EROFS', 'EDQUOT', 'EIO', 'EISDIR'].includes(
    (error as NodeJS.ErrnoException).code ?? '',
  );
