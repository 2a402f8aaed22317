import type { Caller } from '../access/caller.ts';
import { allows } from '../access/grant.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import { type Clause, fulfils, parseFilter } from '../search/filter.ts';
import { offsetOf, offsetPage } from '../search/offset-page.ts';
import { compareBy, parseOrder } from '../search/order-by.ts';
import { describeAll, type FoundModel } from './found-model.ts';
import { modelsPartition } from './keys.ts';
import { findModel, modelsOf, type StoredModel } from './model.ts';
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
  const descending = orders[0]?.ascending === false;
  // By name they come in order: what is behind the page need not be read.
  const enough = byName && !descending ? offsetOf(search.pageToken) + search.limit + 1 : Infinity;
  const found: StoredModel[] = [];
  for await (const models of visibleModels(ports, caller, search.workspace, clauses)) {
    for (const model of models)
      if (isPrompt(model) === prompts && clauses.every((clause) => holds(model, clause))) found.push(model);
    if (found.length >= enough) break;
  }
  if (byName) {
    if (descending) found.reverse();
    const page = offsetPage(found, search.pageToken, search.limit);
    return { ...page, items: await describeAll(ports.table, page.items) };
  }
  const described = await describeAll(ports.table, found);
  const sortValue = ({ model, lastUpdated }: FoundModel, key: string) =>
    key === 'name' ? model.name : lastUpdated;
  described.sort((a, b) => {
    for (const { key, ascending } of orders) {
      const difference = compareBy(sortValue(a, key), sortValue(b, key), ascending);
      if (difference !== 0) return difference;
    }
    return compareBy(a.model.name, b.model.name, true);
  });
  return offsetPage(described, search.pageToken, search.limit);
}

const holds = (model: StoredModel, clause: Clause) =>
  fulfils(clause, ({ entity, key }) => (entity === 'tag' ? model.tags[key] : model.name));

const MODELS_AT_ONCE = 100;
const NAMES_AT_ONCE = 1000;

/** The models that the caller may see and the filter's clauses about names leave, by name, some at a time. */
export async function* visibleModels(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  workspace: string,
  clauses: readonly Clause[],
): AsyncGenerator<readonly StoredModel[]> {
  const { names, prefix } = namesWanted(clauses);
  if (names) {
    for (const name of names.toSorted()) {
      if (!allows(caller, 'viewer', { workspace, name })) continue;
      const model = await ifThere(findModel(ports.table, { workspace, name }));
      if (model) yield [model];
    }
    return;
  }
  await getWorkspace(ports, workspace);
  const aboutNames = clauses.filter(({ entity, key }) => entity === 'attribute' && key === 'name');
  for (let after: string | undefined; ; ) {
    const limit = aboutNames.length === 0 ? MODELS_AT_ONCE : NAMES_AT_ONCE;
    const page = await ports.table.query({ pk: modelsPartition(workspace), prefix, after, limit });
    const ids = page.items
      .filter(({ sk: name }) => aboutNames.every((clause) => fulfils(clause, () => name)))
      .filter(({ sk: name }) => allows(caller, 'viewer', { workspace, name }))
      .map(({ body }) => (body as { id: string }).id);
    for (let at = 0; at < ids.length; at += MODELS_AT_ONCE)
      yield await modelsOf(ports.table, ids.slice(at, at + MODELS_AT_ONCE));
    after = page.items.at(-1)?.sk;
    if (!page.more) return;
  }
}

async function ifThere(finding: Promise<StoredModel>): Promise<StoredModel | undefined> {
  try {
    return await finding;
  } catch (error) {
    if (error instanceof CairnError && error.code === 'MODEL_NOT_FOUND') return undefined;
    throw error;
  }
}
