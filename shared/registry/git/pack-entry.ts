import { deflateSync, type Inflate, inflateSync } from 'node:zlib';
import { malformed } from './malformed.ts';
import type { GitObject, ObjectType } from './object.ts';

/** Where an entry's compressed data begins, and what it is: an object, or a delta against the object `base`. */
export interface EntryHeader {
  readonly type: ObjectType | 'ofs-delta' | 'ref-delta';
  /** Bytes of the inflated data. */
  readonly size: number;
  readonly data: number;
  /** Its id, or how many bytes before this entry it begins. */
  readonly base?: string | number;
}

const TYPES = [undefined, 'commit', 'tree', 'blob', 'tag', undefined, 'ofs-delta', 'ref-delta'] as const;

/** Reads the header of the entry that begins at `at`. Source: Git's Documentation/gitformat-pack. */
export function readEntryHeader(bytes: Uint8Array, at: number): EntryHeader {
  let place = at;
  const next = () => {
    const byte = bytes[place++];
    if (byte === undefined) throw malformed('The pack ends inside an entry.');
    return byte;
  };
  let byte = next();
  const type = TYPES[(byte >> 4) & 7];
  let size = byte & 15;
  for (let weight = 16; byte & 0x80; weight *= 128) {
    byte = next();
    size += (byte & 0x7f) * weight;
    if (!Number.isSafeInteger(size)) throw malformed('The pack has an entry of impossible size.');
  }
  if (type === undefined) throw malformed('The pack has an entry of an unknown type.');
  if (type === 'ofs-delta') {
    byte = next();
    let base = byte & 0x7f;
    while (byte & 0x80) {
      byte = next();
      base = (base + 1) * 128 + (byte & 0x7f);
      if (!Number.isSafeInteger(base)) throw malformed('The pack has a delta with an impossible base.');
    }
    return { type, size, data: place, base };
  }
  if (type === 'ref-delta') {
    if (place + 20 > bytes.length) throw malformed('The pack ends inside an entry.');
    return { type, size, data: place + 20, base: hexAt(bytes, place) };
  }
  return { type, size, data: place };
}

/** Twenty bytes as an object's id. */
export function hexAt(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, 20).toString('hex');
}

/** Inflates exactly `size` bytes. @returns also how many compressed bytes they were */
export function inflateEntry(
  compressed: Uint8Array,
  size: number,
): { content: Uint8Array; consumed: number } {
  try {
    const { buffer, engine } = inflateSync(compressed, {
      info: true,
      chunkSize: Math.min(Math.max(64, size), 1 << 20),
      maxOutputLength: Math.max(1, size),
    }) as unknown as { buffer: Buffer; engine: Inflate };
    if (buffer.length !== size) throw malformed('The pack has an entry of another size than it says.');
    return { content: buffer, consumed: engine.bytesWritten };
  } catch (error) {
    if (error instanceof Error && 'errno' in error)
      throw malformed(`The pack cannot be inflated: ${error.message}.`);
    if (error instanceof RangeError) throw malformed('The pack has an entry of another size than it says.');
    throw error;
  }
}

const NUMBERS = { commit: 1, tree: 2, blob: 3, tag: 4, 'ref-delta': 7 } as const;

/** Type in bits 4 to 6, size in 4 bits and then groups of 7, least significant first. */
export function entryHeader(type: keyof typeof NUMBERS, size: number): Uint8Array {
  const bytes: number[] = [];
  let rest = Math.floor(size / 16);
  let byte = (NUMBERS[type] << 4) | (size & 15);
  while (rest > 0) {
    bytes.push(byte | 0x80);
    byte = rest & 0x7f;
    rest = Math.floor(rest / 128);
  }
  bytes.push(byte);
  return Uint8Array.from(bytes);
}

/** The entry of a whole object. */
export function wholeEntry(object: GitObject): Uint8Array {
  return Buffer.concat([entryHeader(object.type, object.content.length), deflateSync(object.content)]);
}
