import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import type { GitObject, ObjectType } from './object.ts';

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

const TYPE_NUMBER: Record<ObjectType, number> = { commit: 1, tree: 2, blob: 3 };

/** Packs whole objects, without deltas. Source: Git's Documentation/gitformat-pack, version 2. */
export function writePack(objects: readonly GitObject[]): Pack {
  const chunks: Uint8Array[] = [packHeader(objects.length)];
  const packed: PackedObject[] = [];
  let offset = PACK_HEADER_LENGTH;
  for (const object of objects) {
    const entry = Buffer.concat([entryHeader(object), deflateSync(object.content)]);
    chunks.push(entry);
    packed.push({ oid: object.oid, offset, length: entry.length });
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

/** Type in bits 4 to 6, size in 4 bits and then groups of 7, least significant first. */
function entryHeader(object: GitObject): Uint8Array {
  const bytes: number[] = [];
  let rest = Math.floor(object.content.length / 16);
  let byte = (TYPE_NUMBER[object.type] << 4) | (object.content.length & 15);
  while (rest > 0) {
    bytes.push(byte | 0x80);
    byte = rest & 0x7f;
    rest = Math.floor(rest / 128);
  }
  bytes.push(byte);
  return Uint8Array.from(bytes);
}
