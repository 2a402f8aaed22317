import { CairnError } from '../../errors.ts';

/** Reads bytes `start` (inclusive) to `end` (exclusive) of a file. */
export type ReadRange = (start: number, end: number) => Promise<Uint8Array>;

/** Where a message's bytes are in the file. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** One field: `start` and `end` span its payload, `value` is that of a varint (exact up to 2^53). */
export interface WireField extends Span {
  readonly number: number;
  readonly type: 'varint' | 'fixed' | 'bytes';
  readonly value: number;
}

const WINDOW = 64 * 1024;
/** A tag and a varint take at most 5 + 10 bytes. */
const HEADER = 15;
const MAX_TEXT = 64 * 1024;
/** A model has thousands of nodes and weights, not millions: this bounds the time that a hostile file takes. */
const MAX_FIELDS = 20_000_000;

/**
 * Walks the Protocol Buffers wire format (protobuf.dev/programming-guides/encoding) of a file of any size in flat
 * memory: payloads are skipped by their length and only read when asked for. Protobuf libraries want the whole
 * message in memory, which a model of several gigabytes does not fit.
 */
export class WireReader {
  readonly #read: ReadRange;
  readonly #size: number;
  #window: Uint8Array = new Uint8Array(0);
  #windowStart = 0;
  #fields = 0;

  constructor(read: ReadRange, size: number) {
    this.#read = read;
    this.#size = size;
  }

  /**
   * Calls `visit` for each field of the message in `span`, in order.
   * @throws CairnError `MODEL_FILE_INVALID` where the bytes are not a message
   */
  async each(span: Span, visit: (field: WireField) => Promise<void> | void): Promise<void> {
    let at = span.start;
    while (at < span.end) {
      if (!this.#holds(at, Math.min(at + HEADER, span.end))) await this.#load(at);
      if (++this.#fields > MAX_FIELDS) throw invalid(`it has more than ${MAX_FIELDS} fields`);
      const field = this.#field(at, span.end);
      const visited = visit(field);
      if (visited !== undefined) await visited;
      at = field.end;
    }
  }

  /** A string field, at most 64 KiB. */
  async text(field: WireField): Promise<string> {
    expectBytes(field);
    const length = field.end - field.start;
    if (length > MAX_TEXT)
      throw invalid(`a name of ${length} bytes at byte ${field.start}; the limit is ${MAX_TEXT}`);
    if (!this.#holds(field.start, field.end)) await this.#load(field.start);
    const from = field.start - this.#windowStart;
    return new TextDecoder().decode(this.#window.subarray(from, from + length));
  }

  #holds(start: number, end: number): boolean {
    return start >= this.#windowStart && end <= this.#windowStart + this.#window.length;
  }

  async #load(at: number): Promise<void> {
    const end = Math.min(at + WINDOW, this.#size);
    const bytes = await this.#read(at, end);
    if (bytes.length !== end - at)
      throw invalid(`the file ends at byte ${at + bytes.length}, not at ${this.#size}`);
    this.#window = bytes;
    this.#windowStart = at;
  }

  #field(at: number, end: number): WireField {
    const tag = this.#varint(at, end);
    const number = Math.floor(tag.value / 8);
    const start = tag.end;
    if (number < 1 || number >= 2 ** 29) throw invalid(`no field has number ${number} (byte ${at})`);
    switch (tag.value % 8) {
      case 0:
        return { number, type: 'varint', start, ...this.#varint(start, end) };
      case 1:
        return { number, type: 'fixed', start, end: this.#within(start, 8, end), value: 0 };
      case 2: {
        const length = this.#varint(start, end);
        return {
          number,
          type: 'bytes',
          start: length.end,
          end: this.#within(length.end, length.value, end),
          value: 0,
        };
      }
      case 5:
        return { number, type: 'fixed', start, end: this.#within(start, 4, end), value: 0 };
      default:
        throw invalid(`wire type ${tag.value % 8} at byte ${at} is not one`);
    }
  }

  #varint(at: number, end: number): { value: number; end: number } {
    let value = 0;
    for (let n = 0; n < 10; n++) {
      if (at + n >= end) throw this.#truncated(at, end);
      const byte = this.#window[at + n - this.#windowStart] as number;
      value += (byte & 0x7f) * 2 ** (7 * n);
      if (byte < 0x80) return { value, end: at + n + 1 };
    }
    throw invalid(`a number at byte ${at} takes more than 10 bytes`);
  }

  #within(start: number, length: number, end: number): number {
    if (length <= end - start) return start + length;
    if (end < this.#size)
      throw invalid(`a field at byte ${start} is ${length} bytes long and goes beyond its message`);
    throw invalid(
      `the file is truncated: it ends at byte ${end}, a field at byte ${start} is ${length} bytes long`,
    );
  }

  #truncated(at: number, end: number): CairnError {
    if (end < this.#size) return invalid(`a field at byte ${at} goes beyond its message`);
    return invalid(`the file is truncated: it ends at byte ${end} in the middle of a field`);
  }
}

/** @throws CairnError unless the field carries bytes: a string or a message */
export function expectBytes(field: WireField): void {
  if (field.type !== 'bytes')
    throw invalid(`field ${field.number} at byte ${field.start} is a number, not a message`);
}

/** @throws CairnError unless the field is a varint */
export function expectVarint(field: WireField): number {
  if (field.type !== 'varint') throw invalid(`field ${field.number} at byte ${field.start} is not a number`);
  return field.value;
}

export const invalid = (what: string): CairnError =>
  new CairnError('MODEL_FILE_INVALID', `Not a valid ONNX file: ${what}.`);
