import { createHash } from 'node:crypto';
import { applyDelta } from './delta.ts';
import { malformed } from './malformed.ts';
import { type GitObject, gitObject, type ObjectType } from './object.ts';
import { joinPack, PACK_HEADER_LENGTH, type Pack } from './pack.ts';
import { type EntryHeader, entryHeader, inflateEntry, readEntryHeader, wholeEntry } from './pack-entry.ts';
import { turns } from './turns.ts';

/** How much a received pack may unfold to. */
export interface PackLimits {
  readonly objects: number;
  /** Bytes of one object. */
  readonly objectBytes: number;
  /** Bytes of all objects together: what bounds the work. */
  readonly totalBytes: number;
}

/** Deltas upon deltas beyond this are stored whole, so that reading an object stays short. */
const DEPTH_MAX = 50;

/** Bytes of inflated entries that are kept for that. */
const KEPT_BYTES = 32 * 1024 * 1024;

interface Entry {
  readonly at: number;
  readonly header: EntryHeader;
  readonly end: number;
  /** What it inflates to, while there is room for it: it is needed again to resolve deltas. */
  content?: Uint8Array;
  oid?: string;
  /** Its entry in the pack that is kept, once it is known. */
  kept?: Uint8Array;
}

/**
 * Reads a pack from somebody else: inflates every object, works out its id, and makes the pack that is kept, in which
 * every delta names its base by id and every base is in the pack (a thin pack's are not).
 * @param base objects that a thin pack's deltas may be against
 * @param visit gets every object once, in no order; what it throws refuses the pack
 * @throws CairnError `INVALID_ARGUMENT` for what is no pack, is damaged or unfolds beyond the limits
 */
export async function indexPack(
  bytes: Uint8Array,
  base: (oid: string) => Promise<GitObject | undefined>,
  visit: (object: GitObject) => Promise<void> | undefined,
  limits: PackLimits,
): Promise<Pack> {
  const count = checkFrame(bytes, limits);
  const seen = new Set<string>();
  let total = 0;
  let kept = 0;
  const turn = turns();
  const charge = (size: number) => {
    total += size;
    if (total > limits.totalBytes)
      throw malformed(`The pack unfolds to more than ${limits.totalBytes} bytes.`);
  };
  // Git's index-pack --strict refuses it, too: two objects of one id might have different bytes, or be based on each other.
  const found = (entry: Entry, object: GitObject, stored: () => Uint8Array) => {
    entry.oid = object.oid;
    if (seen.has(object.oid)) throw malformed(`The pack has the object ${object.oid} twice.`);
    seen.add(object.oid);
    entry.kept = stored();
    return visit(object);
  };

  const entries: Entry[] = [];
  const byOffset = new Map<number, Entry>();
  const children = new Map<Entry | string, Entry[]>();
  const roots: Entry[] = [];
  let at = PACK_HEADER_LENGTH;
  for (let index = 0; index < count; index++) {
    const header = readEntryHeader(bytes, at);
    if (header.size > limits.objectBytes) throw tooLarge(header.size, limits);
    charge(header.size);
    const { content, consumed } = inflateEntry(bytes.subarray(header.data, bytes.length - 20), header.size);
    const entry: Entry = { at, header, end: header.data + consumed };
    kept += content.length;
    if (kept <= KEPT_BYTES) entry.content = content;
    entries.push(entry);
    byOffset.set(at, entry);
    if (header.base === undefined) {
      await found(entry, gitObject(header.type as ObjectType, content), () =>
        bytes.subarray(entry.at, entry.end),
      );
      roots.push(entry);
    } else {
      const parent = typeof header.base === 'number' ? byOffset.get(at - header.base) : header.base;
      if (parent === undefined) throw malformed('The pack has a delta whose base is not in it.');
      const siblings = children.get(parent);
      if (siblings) siblings.push(entry);
      else children.set(parent, [entry]);
    }
    at = entry.end;
    await turn();
  }
  if (at !== bytes.length - 20) throw malformed('The pack has bytes behind its last entry.');

  /** Resolves all deltas on top of an object, depth first, so that only one chain is in memory. */
  const resolve = async (oid: string, object: () => GitObject, entry: Entry | undefined, depth: number) => {
    const stack = [{ waiting: takeChildren(oid, entry), object, oid, depth }];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const child = top.waiting.pop();
      if (!child) {
        stack.pop();
        continue;
      }
      const parent = top.object();
      const delta = contentOf(child);
      const made = gitObject(parent.type, applyDelta(parent.content, delta, limits.objectBytes));
      charge(made.content.length);
      const whole = top.depth >= DEPTH_MAX;
      await found(child, made, () => (whole ? wholeEntry(made) : refDelta(child, bytes, top.oid)));
      const waiting = takeChildren(made.oid, child);
      if (waiting.length > 0)
        stack.push({ waiting, object: () => made, oid: made.oid, depth: whole ? 0 : top.depth + 1 });
      await turn();
    }
  };
  const contentOf = ({ content, header, end }: Entry) =>
    content ?? inflateEntry(bytes.subarray(header.data, end), header.size).content;
  const takeChildren = (oid: string, entry: Entry | undefined): Entry[] => {
    const waiting = [...((entry && children.get(entry)) ?? []), ...(children.get(oid) ?? [])];
    if (entry) children.delete(entry);
    children.delete(oid);
    return waiting;
  };
  for (const root of roots) {
    const { oid = '', header } = root;
    if (!children.has(root) && !children.has(oid)) continue;
    const object = { oid, type: header.type as ObjectType, content: contentOf(root) };
    await resolve(oid, () => object, root, 0);
  }
  // What is left has its base elsewhere: in the repository, for a thin pack.
  for (let before = Number.POSITIVE_INFINITY; children.size < before; ) {
    before = children.size;
    for (const outside of [...children.keys()]) {
      // It may itself be made by a delta that is resolved only now.
      const object = typeof outside === 'string' && children.has(outside) ? await base(outside) : undefined;
      if (object) await resolve(object.oid, () => object, undefined, DEPTH_MAX);
    }
  }
  if (children.size > 0) throw malformed('The pack has deltas against objects that are not there.');

  return joinPack(entries.flatMap(({ oid, kept }) => (oid && kept ? [{ oid, entry: kept }] : [])));
}

/** @returns the number of entries */
function checkFrame(bytes: Uint8Array, limits: PackLimits): number {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < PACK_HEADER_LENGTH + 20 || view.toString('latin1', 0, 4) !== 'PACK')
    throw malformed('There is no pack.');
  const version = view.readUInt32BE(4);
  if (version !== 2 && version !== 3) throw malformed(`The pack has version ${version}, not 2.`);
  const count = view.readUInt32BE(8);
  if (count > limits.objects)
    throw malformed(`The pack has ${count} objects; at most ${limits.objects} are taken.`);
  const sum = createHash('sha1').update(view.subarray(0, -20)).digest();
  if (!sum.equals(view.subarray(-20)))
    throw malformed('The pack was damaged on its way: its checksum is wrong.');
  return count;
}

/** The same compressed data, its base named by id. */
function refDelta({ header, end }: Entry, bytes: Uint8Array, base: string): Uint8Array {
  return Buffer.concat([
    entryHeader('ref-delta', header.size),
    Buffer.from(base, 'hex'),
    bytes.subarray(header.data, end),
  ]);
}

const tooLarge = (size: number, limits: PackLimits) =>
  malformed(`The pack has an object of ${size} bytes; at most ${limits.objectBytes} are taken.`);
