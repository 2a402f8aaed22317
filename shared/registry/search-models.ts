import type { Caller } from '../access/caller.ts';
import { allows } from '../access/grant.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item } from '../ports/table.ts';
import { type Clause, fulfils, parseFilter, predicate, tagOf } from '../search/filter.ts';
import {
  keysetPage,
  notOfThisSearch,
  positionOf,
  positionToken,
  type SortTerm,
} from '../search/keyset-page.ts';
import { parseOrder } from '../search/order-by.ts';
import { describeAll, type FoundModel, lastUpdates } from './found-model.ts';
import { modelEntryKey, modelsPartition } from './keys.ts';
import { modelsOf, type StoredModel } from './model.ts';
import { ModelName } from './name.ts';
import { isPrompt, MODEL_FILTER, MODEL_ORDER, namesWanted, splitPromptClause } from './search-fields.ts';
import { getWorkspace } from './workspace.ts';

/** A search as its protocol sends it. */
export interface SearchRequest {
  readonly workspace: string;
  readonly filter: string;
  readonly orderBy: readonly string[];
  readonly limit: number;
  readonly pageToken?: string | undefined;
}

/** Registered models by MLflow's filter grammar, ordered as asked and otherwise by name. */
export async function findModels(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  search: SearchRequest,
): Promise<{ items: readonly FoundModel[]; next?: string }> {
  const { clauses, prompts } = splitPromptClause(parseFilter(search.filter, MODEL_FILTER));
  const orders = parseOrder(search.orderBy, MODEL_ORDER);
  const byName = orders.every(({ key }) => key === 'name');
  const descending = byName && orders[0]?.ascending === false;
  // By name they come in order: what is behind the page need not be read.
  const enough = byName ? search.limit + 1 : Number.POSITIVE_INFINITY;
  const after = byName && search.pageToken ? nameOf(search.pageToken) : undefined;
  // Where nothing but names is asked about, nearly all that is read is shown.
  const shownOnly = !clauses.some(({ entity }) => entity === 'tag');
  const found: StoredModel[] = [];
  for await (const ids of visibleIds(ports, caller, search.workspace, clauses, {
    wanted: enough,
    descending,
    after,
  })) {
    for (let at = 0; at < ids.length && found.length < enough; ) {
      const missing = Math.max(enough - found.length, READ_AT_LEAST);
      const count = shownOnly ? Math.min(missing, MODELS_AT_ONCE) : MODELS_AT_ONCE;
      for (const model of await modelsOf(ports.table, ids.slice(at, at + count)))
        if (isPrompt(model) === prompts && clauses.every((clause) => holds(model, clause))) found.push(model);
      at += count;
    }
    if (found.length >= enough) break;
  }
  if (byName) {
    const page = found.slice(0, search.limit);
    const items = await describeAll(ports.table, page);
    const last = page.at(-1);
    return last && found.length > page.length ? { items, next: positionToken([last.name]) } : { items };
  }
  const times = await lastUpdates(ports.table, found);
  const dated = found.map((model, index) => ({ model, lastUpdated: times[index] ?? model.updatedAt }));
  const terms: SortTerm<(typeof dated)[number]>[] = [
    ...orders.map(({ key, ascending }) => ({
      value: ({ model, lastUpdated }: (typeof dated)[number]) => (key === 'name' ? model.name : lastUpdated),
      ascending,
    })),
    { value: ({ model }) => model.name, ascending: true },
    { value: ({ model }) => model.id, ascending: true },
  ];
  const page = keysetPage(dated, terms, search.pageToken, search.limit);
  const models = page.items.map(({ model }) => model);
  return { ...page, items: await describeAll(ports.table, models) };
}

/** Where a page by name ended. @throws CairnError `INVALID_ARGUMENT` about the field `page_token` */
function nameOf(pageToken: string): string {
  const name = ModelName.safeParse(positionOf(pageToken, 1)[0]);
  if (name.success) return name.data;
  throw notOfThisSearch();
}

const holds = (model: StoredModel, clause: Clause) =>
  fulfils(clause, ({ entity, key }) => (entity === 'tag' ? tagOf(model.tags, key) : model.name));

const MODELS_AT_ONCE = 100;
const NAMES_AT_ONCE = 1000;
const READ_AT_LEAST = 10;

interface Names {
  readonly wanted?: number;
  readonly descending?: boolean;
  readonly after?: string | undefined;
}

/** The models that the caller may see and the filter's clauses about names leave, by name, some at a time. */
export async function* visibleModels(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  workspace: string,
  clauses: readonly Clause[],
): AsyncGenerator<readonly StoredModel[]> {
  for await (const ids of visibleIds(ports, caller, workspace, clauses)) {
    for (let at = 0; at < ids.length; at += MODELS_AT_ONCE)
      yield await modelsOf(ports.table, ids.slice(at, at + MODELS_AT_ONCE));
  }
}

/**
 * Their ids: of the models themselves nothing is read. `wanted` is how many the caller can use at most, and `after` the name
 * that they come behind.
 */
async function* visibleIds(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  workspace: string,
  clauses: readonly Clause[],
  { wanted = NAMES_AT_ONCE, descending = false, after }: Names = {},
): AsyncGenerator<readonly string[]> {
  const tests = clauses.filter(({ entity, key }) => entity === 'attribute' && key === 'name').map(predicate);
  const idsOf = (entries: readonly (Item | undefined)[]) =>
    entries
      .filter((entry) => entry !== undefined)
      .filter(({ sk: name }) => tests.every((test) => test(name)))
      .filter(({ sk: name }) => allows(caller, 'viewer', { workspace, name }))
      .map(({ body }) => (body as { id: string }).id);
  const { names, prefix } = namesWanted(clauses);
  if (names) {
    const ordered = names
      .filter((name) => ModelName.safeParse(name).success)
      .filter((name) => after === undefined || (name !== after && name < after === descending))
      .toSorted();
    if (descending) ordered.reverse();
    for (let at = 0; at < ordered.length; at += MODELS_AT_ONCE) {
      const some = ordered.slice(at, at + MODELS_AT_ONCE);
      yield idsOf(await ports.table.getMany(some.map((name) => modelEntryKey(workspace, name))));
    }
    return;
  }
  if (after !== undefined && !after.startsWith(prefix)) throw notOfThisSearch();
  await getWorkspace(ports, workspace);
  const limit = tests.length === 0 ? Math.min(wanted, NAMES_AT_ONCE) : NAMES_AT_ONCE;
  for (let start = after; ; ) {
    const query = { pk: modelsPartition(workspace), prefix, after: start, reverse: descending, limit };
    const page = await ports.table.query(query);
    yield idsOf(page.items);
    start = page.items.at(-1)?.sk;
    if (!page.more) return;
  }
}
