import type { ChainHead } from '../audit/keys.ts';
import { headKey } from '../audit/keys.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Table } from '../ports/table.ts';
import type { Alias } from './alias.ts';
import { turns } from './git/turns.ts';
import { ALIAS_PREFIX, modelChain } from './keys.ts';
import type { StoredModel } from './model.ts';
import { latestVersions } from './stage.ts';
import { lastUpdated, type StoredVersion } from './version.ts';

/** A registered model with what a list of them shows. */
export interface FoundModel extends Shown {
  readonly model: StoredModel;
  /** When it or one of its newest versions changed last. */
  readonly lastUpdated: number;
}

interface Shown {
  /** The newest version of each stage. */
  readonly latest: readonly StoredVersion[];
  /** Name → version. */
  readonly aliases: ReadonlyMap<string, number>;
}

/** What was read of a model when its audit chain ended there. */
interface Kept extends Shown {
  readonly seq: number;
}

/** Of so many models what is shown is remembered, in one process, … */
const SHOWN_MAX = 5000;
/** … and of so many when they changed. */
const TIMES_MAX = 50_000;
/** A model of more aliases, or whose newest versions are longer, is read each time: the memory is for the many small ones. */
const ALIASES_KEPT = 20;
const CHARACTERS_KEPT = 20_000;
const HEADS_AT_ONCE = 100;

interface Memory {
  readonly shown: Map<string, Kept>;
  readonly times: Map<string, { readonly seq: number; readonly changed: number }>;
}

const memories = new WeakMap<Table, Memory>();

function memoryOf(table: Table): Memory {
  const memory = memories.get(table) ?? { shown: new Map(), times: new Map() };
  memories.set(table, memory);
  return memory;
}

/**
 * Models with their newest versions and aliases. Every change of those is an event of the model's audit chain: what was
 * read since the newest one is remembered, and one read tells whether there is a newer one.
 */
export async function describeAll(table: Table, models: readonly StoredModel[]): Promise<FoundModel[]> {
  const { shown } = memoryOf(table);
  const found: FoundModel[] = [];
  for await (const some of withSeq(table, models)) {
    for (const { model, seq } of some) {
      const kept = shown.get(model.id);
      const { latest, aliases } = kept?.seq === seq ? kept : await look(table, model.id, seq);
      found.push({ model, latest, aliases, lastUpdated: Math.max(model.updatedAt, changedLast(latest)) });
    }
  }
  return found;
}

/** When each of them, or one of its newest versions, changed last. */
export async function lastUpdates(table: Table, models: readonly StoredModel[]): Promise<number[]> {
  const { times } = memoryOf(table);
  const turn = turns();
  const found: number[] = [];
  for await (const some of withSeq(table, models)) {
    for (const { model, seq } of some) {
      let kept = times.get(model.id);
      if (kept?.seq !== seq) {
        kept = { seq, changed: changedLast(await latestVersions(table, model.id)) };
        if (times.size >= TIMES_MAX) times.clear();
        times.set(model.id, kept);
        await turn();
      }
      found.push(Math.max(model.updatedAt, kept.changed));
    }
  }
  return found;
}

const changedLast = (versions: readonly StoredVersion[]) => Math.max(0, ...versions.map(lastUpdated));

/** Where the audit chain of each ends now, by one read for many. */
async function* withSeq(
  table: Table,
  models: readonly StoredModel[],
): AsyncGenerator<readonly { model: StoredModel; seq: number }[]> {
  for (let at = 0; at < models.length; at += HEADS_AT_ONCE) {
    const some = models.slice(at, at + HEADS_AT_ONCE);
    const heads = await table.getMany(some.map(({ id }) => headKey(modelChain(id))));
    yield some.map((model, index) => ({
      model,
      seq: (heads[index]?.body as ChainHead | undefined)?.seq ?? 0,
    }));
  }
}

/** What is read here is of `seq` or newer: never older than what it is remembered as. */
async function look(table: Table, id: string, seq: number): Promise<Shown> {
  const { shown } = memoryOf(table);
  const latest = await latestVersions(table, id);
  const aliases = new Map<string, number>();
  for await (const { body } of itemsOf(table, modelChain(id), ALIAS_PREFIX)) {
    const { alias, version } = body as Alias;
    if (version !== null) aliases.set(alias, version);
  }
  if (aliases.size <= ALIASES_KEPT && JSON.stringify(latest).length <= CHARACTERS_KEPT) {
    if (shown.size >= SHOWN_MAX) shown.clear();
    shown.set(id, { latest, aliases, seq });
  }
  return { latest, aliases };
}
