import { createHash } from 'node:crypto';
import { mkdir, open } from 'node:fs/promises';
import { get as getHttp, type IncomingMessage } from 'node:http';
import { get as getHttps } from 'node:https';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pMap from 'p-map';
import * as z from 'zod';
import { CairnError } from '../../shared/errors.ts';
import { filesDigest } from '../../shared/serving/files-digest.ts';
import type { Log } from './log.ts';
import { insideOf, ListedFile } from './verify-files.ts';

export interface FilesSource {
  /** functions/revision-files: answers pages of `{files: [{path, size, sha256, url}], next?}`. */
  readonly url: string;
  readonly token: string;
  /** `filesDigest` of what was deployed. */
  readonly digest: string;
}

const Page = z.object({ files: z.array(ListedFile.extend({ url: z.url() })), next: z.int().optional() });
type RemoteFile = z.infer<typeof Page>['files'][number];

const AT_ONCE = 4;
/** Milliseconds without a byte after which a connection counts as broken. */
const IDLE_MS = 30_000;
/** Pauses before a request is made again; the last one counts for all that follow. */
const PAUSES_MS = [200, 1000, 3000, 10_000];
/** Attempts in a row that bring nothing, after which the replica gives up and its platform starts another one. */
const ATTEMPTS = 8;

/**
 * Fetches the revision's files into the directory. Bytes are hashed as they come, broken downloads go on where they broke,
 * and URLs that have expired are asked for again.
 * @throws CairnError `DIGEST_MISMATCH`, `SIZE_MISMATCH` when it is offered other files than those deployed, `UNAUTHENTICATED`
 * and others as functions/revision-files answers; Error when nothing comes
 */
export async function fetchFiles(source: FilesSource, directory: string, log: Log): Promise<ListedFile[]> {
  const started = performance.now();
  const list = new RemoteList(source, log);
  const files = await list.files();
  await pMap(files, (file) => download(file, list, directory, log), { concurrency: AT_ONCE });
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  log('info', 'files fetched', { files: files.length, bytes, ms: Math.round(performance.now() - started) });
  return files.map(({ url: _, ...file }) => file);
}

/** The list with URLs that hold for a while; asked for once more when one of them has expired. */
class RemoteList {
  readonly #source: FilesSource;
  readonly #log: Log;
  #known: Promise<RemoteFile[]> | undefined;

  constructor(source: FilesSource, log: Log) {
    this.#source = source;
    this.#log = log;
  }

  files(): Promise<RemoteFile[]> {
    this.#known ??= this.#fetch();
    return this.#known;
  }

  /** The file with another URL than `expired`. */
  async renew({ path, url: expired }: RemoteFile): Promise<RemoteFile> {
    const known = (await this.files()).find((file) => file.path === path);
    if (known && known.url !== expired) return known;
    this.#known = undefined;
    const file = (await this.files()).find((one) => one.path === path);
    if (!file) throw new CairnError('FILE_NOT_FOUND', `"${path}" is listed no more.`, path);
    return file;
  }

  async #fetch(): Promise<RemoteFile[]> {
    const files: RemoteFile[] = [];
    for (let after: number | undefined = 0; after !== undefined; ) {
      const page: z.infer<typeof Page> = await this.#page(after);
      files.push(...page.files);
      after = page.next;
    }
    const digest = filesDigest(files);
    if (digest !== this.#source.digest) {
      const detail = `The files offered have the digest ${digest}, those deployed ${this.#source.digest}.`;
      throw new CairnError('DIGEST_MISMATCH', detail);
    }
    return files;
  }

  #page(after: number): Promise<z.infer<typeof Page>> {
    const { url, token } = this.#source;
    return persist('the list of files', this.#log, async () => {
      const answer = await get(`${url}?after=${after}`, { authorization: `Bearer ${token}` });
      const text = await textOf(answer);
      const { statusCode: status = 0 } = answer;
      if (status === 200) return Page.parse(JSON.parse(text));
      if (status >= 500 || status === 429) throw new Error(`it was answered ${status}`);
      const { code, error } = Refused.safeParse(text).data ?? { code: 'FILE_NOT_FOUND', error: text };
      throw new CairnError(code as CairnError['code'], `The list of files was refused (${status}): ${error}`);
    });
  }
}

const Refused = z
  .string()
  .transform((text) => JSON.parse(text) as unknown)
  .pipe(z.object({ code: z.string(), error: z.string() }));

async function download(listed: RemoteFile, list: RemoteList, directory: string, log: Log): Promise<void> {
  const target = join(directory, insideOf(listed));
  await mkdir(dirname(target), { recursive: true });
  await using output = await open(target, 'w');
  let file = listed;
  let hash = createHash('sha256');
  let have = 0;

  await persist(`"${file.path}"`, log, async (again) => {
    if (have === file.size) return;
    const answer = await get(file.url, have > 0 ? { range: `bytes=${have}-` } : {});
    const { statusCode: status = 0 } = answer;
    if (status !== 200 && status !== 206) {
      const text = await textOf(answer);
      // S3 answers 403 for a URL that has expired and 400 when its signer's credentials have.
      if (status === 403 || status === 400) file = await list.renew(file);
      throw new Error(`it was answered ${status} ${text.slice(0, 200)}`);
    }
    if (status === 200) {
      hash = createHash('sha256');
      have = 0;
    }
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (have + chunk.length > file.size) {
        throw new CairnError('SIZE_MISMATCH', `"${file.path}" has more bytes than ${file.size}.`, file.path);
      }
      const { bytesWritten } = await output.write(chunk, 0, chunk.length, have);
      if (bytesWritten < chunk.length) throw new Error('it could not be written whole');
      hash.update(chunk);
      have += chunk.length;
      again();
    }
    if (have < file.size) throw new Error(`it ended after ${have} of ${file.size} bytes`);
  });
  const digest = hash.digest('hex');
  if (digest !== file.sha256) {
    const detail = `"${file.path}" has SHA-256 ${digest}, not ${file.sha256}.`;
    throw new CairnError('DIGEST_MISMATCH', detail, file.path);
  }
}

/** Does the work again when it fails, but for what a CairnError says. `again` tells that it brings something. */
async function persist<T>(what: string, log: Log, work: (again: () => void) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(() => {
        attempt = 1;
      });
    } catch (error) {
      if (error instanceof CairnError) throw error;
      const { message } = error as Error;
      if (attempt >= ATTEMPTS) throw new Error(`cannot fetch ${what}: ${message}`);
      log('warn', `fetching ${what} again: ${message}`);
      await pause(PAUSES_MS[attempt - 1] ?? PAUSES_MS.at(-1));
    }
  }
}

/** Not `fetch`, whose client would stay in memory for this alone. */
function get(url: string, headers: Record<string, string>): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = (url.startsWith('https:') ? getHttps : getHttp)(url, { headers, agent: false }, resolve);
    request.setTimeout(IDLE_MS, () =>
      request.destroy(new Error(`nothing came for ${IDLE_MS / 1000} seconds`)),
    );
    request.on('error', reject);
  });
}

async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
