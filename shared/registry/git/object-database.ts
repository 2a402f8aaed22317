import { type CommitInfo, parseCommit, parseTag } from './commit-info.ts';
import { applyDelta, readDeltaHeader } from './delta.ts';
import { malformed } from './malformed.ts';
import type { GitObject, ObjectType } from './object.ts';
import { inflateEntry, readEntryHeader } from './pack-entry.ts';

/** Entries of packs, by the id of their object. */
export interface EntrySource {
  has(oid: string): boolean;
  /** The entry's bytes, or undefined if this source does not have the object. */
  entry(oid: string): Uint8Array | Promise<Uint8Array> | undefined;
}

/** All objects of one repository. */
export interface ObjectDatabase {
  has(oid: string): boolean;
  /** As it stands in a pack. @throws CairnError `INVALID_ARGUMENT` if there is none */
  entry(oid: string): Promise<Uint8Array>;
  read(oid: string): Promise<GitObject | undefined>;
  commit(oid: string): Promise<CommitInfo | undefined>;
  typeOf(oid: string): Promise<ObjectType | undefined>;
  /** Bytes of its content. */
  sizeOf(oid: string): Promise<number>;
}

/** Bytes of contents, and commits, that a process keeps; of each repository apart, for SHA-1 collides. */
const CONTENT_BUDGET = 48 * 1024 * 1024;
const CONTENT_MAX = 1024 * 1024;
const COMMITS_KEPT = 100_000;
const contents = new Map<string, GitObject>();
let contentBytes = 0;
const commits = new Map<string, CommitInfo>();
/** A delta's result is at most this large: nothing larger was taken. */
const OBJECT_MAX = 2 ** 31;

/**
 * The objects of `sources`, looked for in their order.
 * @param named what the process keeps an object under: what was read before need not be read again
 */
export function objectDatabase(
  named: (oid: string) => string,
  sources: readonly EntrySource[],
): ObjectDatabase {
  const find = (oid: string) => {
    for (const source of sources) {
      const entry = source.entry(oid);
      if (entry !== undefined) return entry;
    }
    throw missing(oid);
  };
  const has = (oid: string) => sources.some((source) => source.has(oid));

  const read = async (oid: string): Promise<GitObject | undefined> => {
    if (!has(oid)) return undefined;
    const deltas: { oid: string; data: Uint8Array }[] = [];
    let object: GitObject | undefined;
    for (let at = oid; !object; ) {
      object = contents.get(named(at));
      if (object) break;
      const entry = await find(at);
      const header = readEntryHeader(entry, 0);
      const { content } = inflateEntry(entry.subarray(header.data), header.size);
      if (header.base === undefined) object = { oid: at, type: header.type as ObjectType, content };
      else {
        deltas.push({ oid: at, data: content });
        at = header.base as string;
      }
    }
    keep(named(object.oid), object);
    for (let delta = deltas.pop(); delta; delta = deltas.pop()) {
      object = {
        oid: delta.oid,
        type: object.type,
        content: applyDelta(object.content, delta.data, OBJECT_MAX),
      };
      keep(named(object.oid), object);
    }
    return object;
  };

  return {
    has,
    read,
    async entry(oid) {
      return find(oid);
    },
    async commit(oid) {
      if (!has(oid)) return undefined;
      const known = commits.get(named(oid));
      if (known) return known;
      const object = await read(oid);
      if (object?.type !== 'commit') return undefined;
      const info = parseCommit(object.content);
      if (commits.size >= COMMITS_KEPT) commits.clear();
      commits.set(named(oid), info);
      return info;
    },
    async typeOf(oid) {
      if (!has(oid)) return undefined;
      if (commits.has(named(oid))) return 'commit';
      for (let at = oid; ; ) {
        const known = contents.get(named(at));
        if (known) return known.type;
        const header = readEntryHeader(await find(at), 0);
        if (header.base === undefined) return header.type as ObjectType;
        at = header.base as string;
      }
    },
    async sizeOf(oid) {
      const known = contents.get(named(oid));
      if (known) return known.content.length;
      const entry = await find(oid);
      const header = readEntryHeader(entry, 0);
      if (header.base === undefined) return header.size;
      return readDeltaHeader(inflateEntry(entry.subarray(header.data), header.size).content).size;
    },
  };
}

const missing = (oid: string) => malformed(`The repository has no object ${oid}.`);

/** Keeps a content for whoever asks next: deltas are against objects that were read just before. */
function keep(name: string, object: GitObject): void {
  if (object.content.length > CONTENT_MAX || contents.has(name)) return;
  contents.set(name, object);
  contentBytes += object.content.length + 200;
  for (const [oldest, { content }] of contents) {
    if (contentBytes <= CONTENT_BUDGET) break;
    contents.delete(oldest);
    contentBytes -= content.length + 200;
  }
}

/** What a chain of annotated tags names in the end, and the tags on the way. */
export async function peel(
  database: ObjectDatabase,
  oid: string,
): Promise<{ oid: string; type: ObjectType; tags: string[] } | undefined> {
  const tags: string[] = [];
  for (let at = oid; ; ) {
    const type = await database.typeOf(at);
    if (type === undefined) return undefined;
    if (type !== 'tag') return { oid: at, type, tags };
    tags.push(at);
    const object = await database.read(at);
    if (!object || tags.length > 100) return undefined;
    at = parseTag(object.content).object;
  }
}
