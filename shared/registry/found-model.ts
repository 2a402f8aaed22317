import type { ChainHead } from '../audit/keys.ts';
import { headKey } from '../audit/keys.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Table } from '../ports/table.ts';
import type { Alias } from './alias.ts';
import { ALIAS_PREFIX, modelChain } from './keys.ts';
import type { StoredModel } from './model.ts';
import { latestVersions } from './stage.ts';
import type { StoredVersion } from './version.ts';

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

/** What was shown of a model when its audit chain ended there. */
interface Kept extends Shown {
  readonly seq: number;
}

const KEPT_MAX = 5000;
/** A model of more aliases is read each time: the memory is for the many small ones. */
const ALIASES_KEPT = 20;
const HEADS_AT_ONCE = 100;
const memories = new WeakMap<Table, Map<string, Kept>>();

/**
 * Models with their newest versions and aliases. Every change of those is an event of the model's audit chain: what was
 * read since the newest one is remembered, and one read tells whether there is a newer one.
 */
export async function describeAll(table: Table, models: readonly StoredModel[]): Promise<FoundModel[]> {
  const memory = memories.get(table) ?? new Map<string, Kept>();
  memories.set(table, memory);
  const found: FoundModel[] = [];
  for (let at = 0; at < models.length; at += HEADS_AT_ONCE) {
    const some = models.slice(at, at + HEADS_AT_ONCE);
    const heads = await table.getMany(some.map(({ id }) => headKey(modelChain(id))));
    for (const [index, model] of some.entries()) {
      const seq = (heads[index]?.body as ChainHead | undefined)?.seq ?? 0;
      const kept = memory.get(model.id);
      found.push(describe(model, kept?.seq === seq ? kept : await look(table, memory, model.id, seq)));
    }
  }
  return found;
}

function describe(model: StoredModel, { latest, aliases }: Shown): FoundModel {
  const times = latest.map(({ updatedAt, createdAt }) => updatedAt ?? createdAt);
  return { model, latest, aliases, lastUpdated: Math.max(model.updatedAt, ...times) };
}

/** What is read here is of `seq` or newer: never older than what it is remembered as. */
async function look(table: Table, memory: Map<string, Kept>, id: string, seq: number): Promise<Shown> {
  const latest = await latestVersions(table, id);
  const aliases = new Map<string, number>();
  for await (const { body } of itemsOf(table, modelChain(id), ALIAS_PREFIX)) {
    const { alias, version } = body as Alias;
    if (version !== null) aliases.set(alias, version);
  }
  const shown = { latest, aliases };
  if (aliases.size > ALIASES_KEPT) return shown;
  if (memory.size >= KEPT_MAX) memory.clear();
  memory.set(id, { ...shown, seq });
  return shown;
}
