import { uuidv7 } from 'uuidv7';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item, Table } from '../ports/table.ts';
import { refsBlobKey } from '../storage/prefix.ts';
import { readAll } from '../storage/read-all.ts';
import type { Alias } from './alias.ts';
import { ALIAS_PREFIX, modelChain, padded, VERSION_PREFIX } from './keys.ts';
import { type RefTable, type RefValue, type Repository, readRepository } from './repository.ts';
import { storedVersion } from './version.ts';

type ReadPorts = Pick<Ports, 'table' | 'blobs'>;

interface Owner {
  readonly id: string;
  readonly workspace: string;
}

/** A name for an object; `peeled` is what an annotated tag names in the end. */
export interface Ref {
  readonly name: string;
  readonly oid: string;
  readonly peeled?: string;
}

export const MAIN = 'refs/heads/main';
export const versionTag = (number: number) => `refs/tags/v${number}`;

/**
 * All refs of a repository by name: `main`, a tag for each version, aliases, and what was pushed.
 * @throws CairnError `MODEL_NOT_FOUND` when the model has been deleted meanwhile
 */
export async function listRefs(
  ports: ReadPorts,
  model: Owner,
): Promise<{ refs: Ref[]; root: Item<Repository> }> {
  const known = await versionTags(ports.table, model.id);
  // After the tags, so that it names every pack that they need.
  const root = await readRepository(ports.table, model.id);
  const aliases: Ref[] = [];
  for await (const item of itemsOf(ports.table, modelChain(model.id), ALIAS_PREFIX)) {
    const { alias, version } = item.body as Alias;
    const oid = version === null ? undefined : known.tags.get(version);
    if (oid !== undefined) aliases.push({ name: `refs/aliases/${alias}`, oid });
  }
  if (known.listed?.rev !== root.rev) {
    const refs: Ref[] = root.body.main ? [{ name: MAIN, oid: root.body.main.commit }] : [];
    for (const [number, oid] of known.tags) refs.push({ name: versionTag(number), oid });
    for (const ref of (await readRefs(ports, root.body)).values()) refs.push(ref);
    known.listed = { rev: root.rev, refs: refs.sort(byName) };
  }
  return { refs: [...aliases.sort(byName), ...known.listed.refs], root };
}

/** Git sorts refs by their names' bytes. */
const byName = (a: Ref, b: Ref) =>
  ASCII.test(a.name + b.name)
    ? a.name < b.name
      ? -1
      : 1
    : Buffer.compare(Buffer.from(a.name), Buffer.from(b.name));
// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
const ASCII = /^[\u0000-\u007f]*$/;

interface VersionTags {
  /** The least number whose version may still get a commit. */
  next: number;
  readonly tags: Map<number, string>;
  /** All refs but the aliases, as of a revision of the root: no tag is made without moving it. */
  listed?: { readonly rev: number; readonly refs: readonly Ref[] };
  reading: Promise<void>;
}

const MODELS_KEPT = 64;
const tagsKnown = new WeakMap<Table, Map<string, VersionTags>>();

/** The versions' commits by number. One that is there never changes, so only younger ones are read. */
async function versionTags(table: Table, modelId: string): Promise<VersionTags> {
  let models = tagsKnown.get(table);
  if (!models) {
    models = new Map();
    tagsKnown.set(table, models);
  }
  const known = models.get(modelId) ?? { next: 1, tags: new Map(), reading: Promise.resolve() };
  models.delete(modelId);
  models.set(modelId, known);
  for (const id of models.keys()) {
    if (models.size <= MODELS_KEPT) break;
    models.delete(id);
  }
  known.reading = known.reading
    .catch(() => undefined)
    .then(async () => {
      let pending = false;
      const start = `${VERSION_PREFIX}${padded(known.next - 1)}`;
      for await (const item of itemsOf(table, modelChain(modelId), VERSION_PREFIX, start)) {
        const { number, commit, status } = storedVersion(item);
        if (commit !== undefined) known.tags.set(number, commit);
        pending ||= status === 'PENDING';
        if (!pending) known.next = number + 1;
      }
    });
  await known.reading;
  return known;
}

const INLINE_BYTES = 2000;
const TABLES_KEPT = 16;
const tables = new Map<string, ReadonlyMap<string, Ref>>();

/** The branches and tags that were pushed, by name. */
export async function readRefs(
  ports: Pick<Ports, 'blobs'>,
  root: Repository,
): Promise<ReadonlyMap<string, Ref>> {
  const { refs } = root;
  if (!refs) return new Map();
  if ('names' in refs) return decode(refs.names);
  const known = tables.get(refs.blob);
  if (known) return known;
  const read = decode(JSON.parse((await readAll(ports.blobs, refs.blob)).toString()));
  if (tables.size >= TABLES_KEPT) tables.clear();
  tables.set(refs.blob, read);
  return read;
}

/** What the root says of these refs; too many for it are stored first, as an object that never changes. */
export async function refTable(
  ports: Pick<Ports, 'blobs'>,
  model: Owner,
  refs: ReadonlyMap<string, Ref>,
): Promise<RefTable | undefined> {
  if (refs.size === 0) return undefined;
  const names: Record<string, RefValue> = {};
  for (const { name, oid, peeled } of refs.values()) names[name] = peeled === undefined ? oid : [oid, peeled];
  const json = Buffer.from(JSON.stringify(names));
  if (json.length <= INLINE_BYTES) return { names };
  // Of its own: one that was used before may be removed just now.
  const blob = refsBlobKey(model.workspace, model.id, uuidv7());
  await ports.blobs.put(blob, json);
  return { blob };
}

function decode(names: Readonly<Record<string, RefValue>>): Map<string, Ref> {
  return new Map(
    Object.entries(names).map(([name, value]): [string, Ref] => [
      name,
      typeof value === 'string' ? { name, oid: value } : { name, oid: value[0], peeled: value[1] },
    ]),
  );
}
