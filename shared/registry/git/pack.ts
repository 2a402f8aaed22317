import { createHash } from 'node:crypto';
import type { GitObject } from './object.ts';
import { wholeEntry } from './pack-entry.ts';

/** Where an object's entry is in a pack. */
export interface PackedObject {
  readonly oid: string;
  readonly offset: number;
  readonly length: number;
}

export interface Pack {
  readonly bytes: Uint8Array;
  readonly objects: readonly PackedObject[];
}

/** Packs whole objects, without deltas. Source: Git's Documentation/gitformat-pack, version 2. */
export function writePack(objects: readonly GitObject[]): Pack {
  return joinPack(objects.map((object) => ({ oid: object.oid, entry: wholeEntry(object) })));
}

/** The pack of these entries. */
export function joinPack(entries: readonly { readonly oid: string; readonly entry: Uint8Array }[]): Pack {
  const chunks: Uint8Array[] = [packHeader(entries.length)];
  const packed: PackedObject[] = [];
  let offset = PACK_HEADER_LENGTH;
  for (const { oid, entry } of entries) {
    chunks.push(entry);
    packed.push({ oid, offset, length: entry.length });
    offset += entry.length;
  }
  const body = Buffer.concat(chunks);
  return { bytes: Buffer.concat([body, createHash('sha1').update(body).digest()]), objects: packed };
}

export const PACK_HEADER_LENGTH = 12;

/** `PACK`, version 2, the number of objects. */
export function packHeader(count: number): Uint8Array {
  const header = Buffer.alloc(PACK_HEADER_LENGTH);
  header.write('PACK', 'latin1');
  header.writeUInt32BE(2, 4);
  header.writeUInt32BE(count, 8);
  return header;
}
