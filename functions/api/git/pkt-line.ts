import { CairnError } from '../../../shared/errors.ts';

/** A line of Git's protocol, or one of its marks. Source: Git's Documentation/gitprotocol-common. */
export type Pkt = Buffer | 'flush' | 'delim' | 'end';

const MARKS = { 0: 'flush', 1: 'delim', 2: 'end' } as const;

export const FLUSH = Buffer.from('0000');
export const DELIM = Buffer.from('0001');

/** Bytes of a line at most, its length included. */
export const PKT_MAX = 65_520;

export function pkt(content: string | Uint8Array): Buffer {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  if (bytes.length + 4 > PKT_MAX) throw new RangeError(`a line of ${bytes.length} bytes is too long`);
  return Buffer.concat([Buffer.from((bytes.length + 4).toString(16).padStart(4, '0')), bytes]);
}

/** Reads lines one after the other; what follows them is at `rest`. */
export class PktReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** The next line or mark, undefined at the end. @throws CairnError `INVALID_ARGUMENT` for what is no line */
  next(): Pkt | undefined {
    const bytes = this.#bytes;
    const at = this.#at;
    if (at === bytes.length) return undefined;
    const head = bytes.toString('latin1', at, at + 4);
    if (!/^[0-9a-f]{4}$/i.test(head)) throw broken();
    const length = Number.parseInt(head, 16);
    if (length < 4) {
      this.#at += 4;
      const mark = MARKS[length as keyof typeof MARKS];
      if (mark === undefined) throw broken();
      return mark;
    }
    if (at + length > bytes.length || length > PKT_MAX) throw broken();
    this.#at += length;
    return bytes.subarray(at + 4, at + length);
  }

  /** The next line as text without its line end; undefined at a mark or the end. */
  text(): string | undefined {
    const line = this.next();
    return line === undefined || typeof line === 'string' ? undefined : textOf(line);
  }

  /** What was not read yet. */
  get rest(): Buffer {
    return this.#bytes.subarray(this.#at);
  }
}

export const textOf = (line: Buffer): string => line.toString().replace(/\n$/, '');

const broken = () => new CairnError('INVALID_ARGUMENT', 'The request is not in Git’s protocol.', 'body');
