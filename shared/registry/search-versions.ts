import type { Caller } from '../access/caller.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Table } from '../ports/table.ts';
import { type Clause, fulfils, parseFilter, tagOf } from '../search/filter.ts';
import { keysetPage } from '../search/keyset-page.ts';
import { parseOrder } from '../search/order-by.ts';
import { modelChain, runVersionsPartition, VERSION_PREFIX, versionKey } from './keys.ts';
import type { StoredModel } from './model.ts';
import { isPrompt, splitPromptClause, VERSION_FILTER, VERSION_ORDER } from './search-fields.ts';
import { type SearchRequest, visibleModels } from './search-models.ts';
import { lastUpdated, type StoredVersion, storedVersion, type Version } from './version.ts';

export interface FoundVersion {
  readonly model: StoredModel;
  readonly version: StoredVersion;
}

/** Versions of all models by MLflow's filter grammar, ordered as asked and otherwise by their last change, newest first. */
export async function findVersions(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  search: SearchRequest,
): Promise<{ items: readonly FoundVersion[]; next?: string }> {
  const { clauses, prompts } = splitPromptClause(parseFilter(search.filter, VERSION_FILTER));
  const asked = parseOrder(search.orderBy, VERSION_ORDER);
  const orders = [
    ...asked,
    ...(asked.length === 0 ? [{ key: 'lastUpdated', ascending: false }] : []),
    { key: 'name', ascending: true },
    { key: 'number', ascending: false },
    { key: 'model', ascending: true },
  ];
  const found: FoundVersion[] = [];
  for await (const models of visibleModels(ports, caller, search.workspace, clauses)) {
    for (const model of models) {
      for await (const versions of candidates(ports.table, model, clauses)) {
        for (const version of versions) {
          if (version.deletedAt !== undefined || isPrompt(version) !== prompts) continue;
          if (clauses.every((clause) => holds(model, version, clause))) found.push({ model, version });
        }
      }
    }
  }
  const terms = orders.map(({ key, ascending }) => ({
    value: (each: FoundVersion) => attribute(each, key),
    ascending,
  }));
  return keysetPage(found, terms, search.pageToken, search.limit);
}

/** A model's versions, some at a time: where the filter names a run, only those that came from it. */
async function* candidates(
  table: Table,
  model: StoredModel,
  clauses: readonly Clause[],
): AsyncGenerator<readonly StoredVersion[]> {
  const byRun = clauses.find((clause) => clause.key === 'run' && clause.operator === '=');
  if (byRun === undefined) {
    for (let after: string | undefined; ; ) {
      const page = await table.query({
        pk: modelChain(model.id),
        prefix: VERSION_PREFIX,
        after,
        limit: 1000,
      });
      yield page.items.map(storedVersion);
      after = page.items.at(-1)?.sk;
      if (!page.more) return;
    }
  }
  const partition = runVersionsPartition(model.workspace, byRun.value as string);
  for await (const { sk } of itemsOf(table, partition, `${model.id}#`)) {
    const item = await table.get(versionKey(model.id, Number(sk.slice(model.id.length + 1))));
    if (item) yield [storedVersion(item)];
  }
}

const holds = (model: StoredModel, version: Version, clause: Clause) =>
  fulfils(clause, ({ entity, key }) =>
    entity === 'tag' ? tagOf(version.tags, key) : attribute({ model, version }, key),
  );

function attribute(
  { model, version }: { model: StoredModel; version: Version },
  key: string,
): string | number | undefined {
  switch (key) {
    case 'name':
      return model.name;
    case 'model':
      return model.id;
    case 'number':
      return version.number;
    case 'run':
      return version.source.run ?? '';
    case 'source':
      return sourceUri(version);
    case 'created':
      return version.createdAt;
    default:
      return lastUpdated(version);
  }
}

/** The URI that a version came from: what its client named, or for one that came through another door its own place here. */
export const sourceUri = ({ source, reference }: Version): string => source.uri ?? reference ?? '';
