import { Readable } from 'node:stream';
import { Transient, withRetries } from '../http.ts';
import type { MlflowServer } from './server.ts';

export interface Tag {
  readonly key: string;
  readonly value: string;
}

/** What an import works with, and what it has found out so far: ids there → ids here. */
export interface Import {
  readonly from: MlflowServer;
  readonly to: MlflowServer;
  readonly signal: AbortSignal;
  readonly experiments: Map<string, string>;
  readonly runs: Map<string, string>;
  readonly loggedModels: Map<string, string>;
  count(what: string, by?: number): void;
  /** A run or version is here. */
  done(items?: number): void;
  /** That many bytes have gone over; fewer when they have to go again. */
  moved(bytes: number): void;
  /** Tells the person what could not be brought over. */
  problem(sentence: string): void;
}

export const tagOf = (tags: readonly Tag[] | undefined, key: string): string | undefined =>
  tags?.find((tag) => tag.key === key)?.value;

/** Copies what is below one artifact URI to another, file by file, without keeping any in memory. */
export async function copyArtifacts(job: Import, from: string, to: string): Promise<void> {
  const [source, target] = [pathOf(from), pathOf(to)];
  if (source === undefined || target === undefined) {
    job.problem(`The artifacts at ${from} are not served by ${job.from.url.host}: they stay there.`);
    return;
  }
  for await (const { path, size } of job.from.files(source)) {
    const place = `${target}${path.slice(source.length)}`;
    await withRetries(job.signal, async () => {
      const stream = await job.from.download(path);
      const length = Number(stream.headers['content-length'] ?? size);
      let sent = 0;
      const counted = counting(stream, (bytes) => {
        sent += bytes;
        job.moved(bytes);
      });
      try {
        await job.to.upload(place, Readable.from(counted, { objectMode: false }), length);
      } catch (error) {
        job.moved(-sent);
        job.signal.throwIfAborted();
        throw new Transient(error as Error);
      }
    });
    job.count('files');
    job.count('bytes', size);
  }
}

async function* counting(stream: AsyncIterable<Buffer>, moved: (bytes: number) => void) {
  for await (const chunk of stream) {
    moved(chunk.length);
    yield chunk;
  }
}

const pathOf = (uri: string) =>
  /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.+)$/s.exec(uri)?.[1]?.replace(/\/+$/, '');
