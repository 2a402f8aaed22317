import { createWriteStream, mkdirSync, renameSync, type WriteStream } from 'node:fs';
import { dirname } from 'node:path';
import type { LogLine } from '../../ports/serving-platform.ts';

const FILE_BYTES = 1024 * 1024;
const LINE_BYTES = 16 * 1024;

/** A log file of at most 1 MiB, and the one before it. */
export class RotatingFile {
  readonly #path: string;
  #stream: WriteStream | undefined;
  #size = 0;

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true });
  }

  write(line: string): void {
    if (this.#size > FILE_BYTES) {
      this.close();
      renameSync(this.#path, `${this.#path}.1`);
    }
    // A log that cannot be written must not take the replica down; the newest lines are in memory as well.
    this.#stream ??= createWriteStream(this.#path).on('error', () => {});
    this.#size += Buffer.byteLength(line) + 1;
    this.#stream.write(`${line}\n`);
  }

  close(): void {
    this.#stream?.end();
    this.#stream = undefined;
    this.#size = 0;
  }
}

/** The newest lines, up to a number. */
export class LineRing {
  readonly #limit: number;
  #lines: LogLine[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(line: LogLine): void {
    this.#lines.push(line);
    if (this.#lines.length > 2 * this.#limit) this.#lines = this.#lines.slice(-this.#limit);
  }

  newest(limit: number, revision?: number): LogLine[] {
    const lines =
      revision === undefined ? this.#lines : this.#lines.filter((line) => line.revision === revision);
    return lines.slice(Math.max(0, lines.length - Math.min(limit, this.#limit)));
  }
}

/** Splits what a process writes into lines; of a longer line only the first 16 KiB are kept. */
export function lineSplitter(onLine: (line: string) => void): (chunk: string) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(0, LINE_BYTES);
    for (const line of lines) if (line.length > 0) onLine(line.slice(0, LINE_BYTES));
  };
}
