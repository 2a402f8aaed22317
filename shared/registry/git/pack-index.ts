import { malformed } from './malformed.ts';
import type { PackedObject } from './pack.ts';

/** Finds the entries of one pack. */
export interface PackIndex {
  readonly size: number;
  /** Where the last entry ends. */
  readonly end: number;
  find(oid: string): { readonly offset: number; readonly length: number } | undefined;
  objects(): Generator<PackedObject>;
}

const MAGIC = Buffer.from('CairnIx1');
const ROW = 20 + 6 + 6;

/** A pack's index as a file: eight bytes of name, then rows of id, offset and length, sorted by id. */
export function encodePackIndex(objects: readonly PackedObject[]): Uint8Array {
  const bytes = Buffer.alloc(MAGIC.length + objects.length * ROW);
  MAGIC.copy(bytes);
  objects
    .toSorted((a, b) => (a.oid < b.oid ? -1 : 1))
    .forEach(({ oid, offset, length }, index) => {
      const at = MAGIC.length + index * ROW;
      bytes.write(oid, at, 'hex');
      bytes.writeUIntBE(offset, at + 20, 6);
      bytes.writeUIntBE(length, at + 26, 6);
    });
  return bytes;
}

/** The index in a file that {@link encodePackIndex} made; looks up in it as it is. */
export function decodePackIndex(bytes: Buffer): PackIndex {
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) throw malformed('The index of a pack cannot be read.');
  const size = (bytes.length - MAGIC.length) / ROW;
  const rowAt = (index: number) => MAGIC.length + index * ROW;
  const place = (index: number) => {
    const at = rowAt(index);
    return { offset: bytes.readUIntBE(at + 20, 6), length: bytes.readUIntBE(at + 26, 6) };
  };
  let end = 0;
  for (let index = 0; index < size; index++) {
    const { offset, length } = place(index);
    end = Math.max(end, offset + length);
  }
  return {
    size,
    end,
    find(oid) {
      const wanted = Buffer.from(oid, 'hex');
      let low = 0;
      let high = size;
      while (low < high) {
        const middle = (low + high) >>> 1;
        const at = rowAt(middle);
        const order = bytes.compare(wanted, 0, 20, at, at + 20);
        if (order === 0) return place(middle);
        if (order < 0) low = middle + 1;
        else high = middle;
      }
      return undefined;
    },
    *objects() {
      for (let index = 0; index < size; index++) {
        const at = rowAt(index);
        yield { oid: bytes.toString('hex', at, at + 20), ...place(index) };
      }
    },
  };
}
