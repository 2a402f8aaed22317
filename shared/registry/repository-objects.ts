import type { BlobStore } from '../ports/blob-store.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Table } from '../ports/table.ts';
import { packBlobKey } from '../storage/prefix.ts';
import { readAll } from '../storage/read-all.ts';
import type { PackBody } from './commit-version.ts';
import { type EntrySource, type ObjectDatabase, objectDatabase } from './git/object-database.ts';
import type { WholePack } from './git/objects-to-send.ts';
import { PACK_HEADER_LENGTH } from './git/pack.ts';
import type { PackIndex } from './git/pack-index.ts';
import { packKey, packsPartition, padded } from './keys.ts';
import { readPackIndex } from './pack-file.ts';
import { lastPack, type Repository } from './repository.ts';

type ReadPorts = Pick<Ports, 'table' | 'blobs'>;

interface Owner {
  readonly id: string;
  readonly workspace: string;
}

/** What a process knows of a repository's packs: they never change, so it reads only the younger ones. */
interface Loaded {
  readonly consolidated: string | undefined;
  upTo: number;
  readonly small: Map<string, Place>;
  /** Bytes of packs that are items; those that were dropped are read again. */
  readonly bytes: Map<number, Uint8Array>;
  byteCount: number;
  readonly files: PackFile[];
  syncing: Promise<void>;
}

interface Place {
  readonly pack: number;
  readonly offset: number;
  readonly length: number;
}

/** A pack in the blob store. */
export interface PackFile {
  readonly blob: string;
  readonly index: PackIndex;
  readonly tips?: readonly string[] | undefined;
}

const REPOSITORIES_KEPT = 32;
const ITEM_BYTES_KEPT = 16 * 1024 * 1024;
const loaded = new WeakMap<Table, Map<string, Loaded>>();

/** The objects of a repository as its root names them. */
export async function openObjects(ports: ReadPorts, model: Owner, root: Repository): Promise<ObjectDatabase> {
  return objectDatabase(keptAs(model), await openSources(ports, model, root));
}

/** What a process keeps the objects of a repository under. */
export const keptAs = (model: Owner) => (oid: string) => model.id + oid;

/** The packs of a repository, as places to look for entries. */
export async function openSources(ports: ReadPorts, model: Owner, root: Repository): Promise<EntrySource[]> {
  const { small, files, ...rest } = await load(ports, model, root);
  const items: EntrySource = {
    has: (oid) => small.has(oid),
    entry: (oid) => {
      const place = small.get(oid);
      if (!place) return undefined;
      const cut = (bytes: Uint8Array) => bytes.subarray(place.offset, place.offset + place.length);
      const known = rest.bytes.get(place.pack);
      return known ? cut(known) : readItem(ports.table, model, place.pack).then(cut);
    },
  };
  return [...files.map((file) => fileSource(ports.blobs, file)), items];
}

/** The ids of all objects of a repository, those that no ref leads to included; some come twice. */
export async function* objectIds(ports: ReadPorts, model: Owner, root: Repository): AsyncGenerator<string> {
  const { files, small } = await load(ports, model, root);
  for (const { index } of files) for (const { oid } of index.objects()) yield oid;
  yield* small.keys();
}

/** The largest pack of a repository that can be sent as it is, and its entries, if there is one worth it. */
export async function openWholePack(
  ports: ReadPorts,
  model: Owner,
  root: Repository,
): Promise<(WholePack & { entries(): Promise<AsyncIterable<Uint8Array>> }) | undefined> {
  const { files } = await load(ports, model, root);
  const [largest] = files.filter(({ tips }) => tips).toSorted((a, b) => b.index.size - a.index.size);
  if (!largest?.tips) return undefined;
  const { blob, index, tips } = largest;
  return {
    size: index.size,
    tips,
    has: (oid) => index.find(oid) !== undefined,
    entries: () => ports.blobs.get(blob, { start: PACK_HEADER_LENGTH, end: index.end - 1 }),
  };
}

async function load(ports: ReadPorts, model: Owner, root: Repository): Promise<Loaded> {
  let repositories = loaded.get(ports.table);
  if (!repositories) {
    repositories = new Map();
    loaded.set(ports.table, repositories);
  }
  let state = repositories.get(model.id);
  repositories.delete(model.id);
  if (!state || state.consolidated !== root.consolidated?.name) state = fresh(root);
  repositories.set(model.id, state);
  for (const id of repositories.keys()) {
    if (repositories.size <= REPOSITORIES_KEPT) break;
    repositories.delete(id);
  }
  const current = state;
  const run = current.syncing.catch(() => undefined).then(() => sync(ports, model, root, current));
  current.syncing = run;
  await run;
  return current;
}

const fresh = (root: Repository): Loaded => ({
  consolidated: root.consolidated?.name,
  upTo: -1,
  small: new Map(),
  bytes: new Map(),
  byteCount: 0,
  files: [],
  syncing: Promise.resolve(),
});

async function sync(ports: ReadPorts, model: Owner, root: Repository, state: Loaded): Promise<void> {
  if (state.upTo < 0) {
    if (root.consolidated) {
      const blob = packBlobKey(model.workspace, model.id, root.consolidated.name);
      state.files.push(await openPackFile(ports.blobs, blob, root.consolidated.tips));
    }
    state.upTo = root.consolidated?.upTo ?? 0;
  }
  if (state.upTo >= lastPack(root)) return;
  for await (const item of itemsOf(ports.table, packsPartition(model.id), undefined, padded(state.upTo))) {
    const number = Number(item.sk);
    const { objects, blob, tips } = item.body as PackBody;
    if (blob === undefined) {
      for (const { oid, offset, length } of objects ?? [])
        if (!state.small.has(oid)) state.small.set(oid, { pack: number, offset, length });
      const bytes = item.bytes ?? new Uint8Array();
      if (state.byteCount + bytes.length <= ITEM_BYTES_KEPT) {
        state.bytes.set(number, bytes);
        state.byteCount += bytes.length;
      }
    } else {
      state.files.push(await openPackFile(ports.blobs, blob, tips));
    }
    state.upTo = number;
  }
}

async function openPackFile(
  blobs: BlobStore,
  blob: string,
  tips: readonly string[] | undefined,
): Promise<PackFile> {
  return { blob, index: await readPackIndex(blobs, blob), tips };
}

async function readItem(table: Table, model: Owner, number: number): Promise<Uint8Array> {
  return (await table.get(packKey(model.id, number)))?.bytes ?? new Uint8Array();
}

const PAGE = 1024 * 1024;
const PAGES_KEPT = 48;
const pages = new Map<string, Promise<Buffer>>();

/** Reads entries page by page: those that are read one after the other are near each other. */
function fileSource(blobs: BlobStore, { blob, index }: PackFile): EntrySource {
  const page = (number: number): Promise<Buffer> => {
    const name = `${blob} ${number}`;
    const known = pages.get(name);
    if (known !== undefined) {
      pages.delete(name);
      pages.set(name, known);
      return known;
    }
    const read = readAll(blobs, blob, { start: number * PAGE, end: (number + 1) * PAGE - 1 });
    pages.set(name, read);
    read.catch(() => pages.delete(name));
    for (const oldest of pages.keys()) {
      if (pages.size <= PAGES_KEPT) break;
      pages.delete(oldest);
    }
    return read;
  };
  const bytes = async (offset: number, length: number): Promise<Uint8Array> => {
    const first = Math.floor(offset / PAGE);
    const last = Math.floor((offset + length - 1) / PAGE);
    if (last - first > 2) return readAll(blobs, blob, { start: offset, end: offset + length - 1 });
    const read: Buffer[] = [];
    for (let number = first; number <= last; number++) read.push(await page(number));
    const all = read.length === 1 && read[0] ? read[0] : Buffer.concat(read);
    return all.subarray(offset - first * PAGE, offset - first * PAGE + length);
  };
  return {
    has: (oid) => index.find(oid) !== undefined,
    entry: (oid) => {
      const place = index.find(oid);
      return place && bytes(place.offset, place.length);
    },
  };
}
