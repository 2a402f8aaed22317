import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import { type Clause, type FilterFields, fulfils, LOGGED_ENTITIES, parseFilter } from '../search/filter.ts';
import { keysetPage } from '../search/keyset-page.ts';
import { loggedModelsPartition } from './keys.ts';
import { type LoggedModelDetail, type ModelMetric, readLoggedModel } from './logged-model.ts';
import { newestFirst } from './newest-first.ts';

const CREATED = { name: 'createdAt', type: 'number' } as const;
const UPDATED = { name: 'updatedAt', type: 'number' } as const;

const LOGGED_MODEL_FIELDS: FilterFields = {
  attributes: {
    name: { name: 'name', type: 'text', list: true },
    model_id: { name: 'id', type: 'text', list: true },
    model_type: { name: 'modelType', type: 'text', list: true },
    status: { name: 'status', type: 'text', list: true },
    source_run_id: { name: 'sourceRun', type: 'text', list: true },
    creation_time: CREATED,
    creation_timestamp: CREATED,
    last_updated_time: UPDATED,
    last_updated_timestamp: UPDATED,
  },
  entities: LOGGED_ENTITIES,
  nullable: [],
};

/** A dataset that metrics must be of. */
export interface DatasetFilter {
  readonly name: string;
  readonly digest?: string | undefined;
}

export interface LoggedModelOrder {
  readonly field: string;
  readonly ascending: boolean;
  readonly dataset?: DatasetFilter | undefined;
}

/** Logged models by MLflow's filter grammar, ordered as asked and otherwise by creation, newest first. */
export async function searchLoggedModels(
  ports: Ports,
  caller: Caller,
  search: {
    workspace: string;
    experiments: readonly string[];
    filter: string;
    datasets: readonly DatasetFilter[];
    orderBy: readonly LoggedModelOrder[];
    limit: number;
    pageToken?: string | undefined;
  },
): Promise<{ items: readonly LoggedModelDetail[]; next?: string }> {
  authorize(caller, 'viewer', { workspace: search.workspace });
  const clauses = parseFilter(search.filter, LOGGED_MODEL_FIELDS);
  const { datasets } = search;
  const ofDatasets = (metric: ModelMetric) =>
    datasets.length === 0 || datasets.some((dataset) => isOn(metric, dataset));
  const asksMetric = clauses.some(({ entity }) => entity === 'metric');
  const found: LoggedModelDetail[] = [];
  for (const experiment of search.experiments) {
    for await (const detail of loggedModelsOf(ports, search.workspace, experiment)) {
      if (detail.model.lifecycle === 'deleted') continue;
      if (datasets.length > 0 && !asksMetric && !detail.metrics.some(ofDatasets)) continue;
      if (clauses.every((clause) => fulfils(clause, (about) => lookup(detail, about, ofDatasets))))
        found.push(detail);
    }
  }
  const orders = [
    ...search.orderBy.map(checkOrder),
    { field: 'creation_timestamp', ascending: false },
    { field: 'model_id', ascending: true },
  ];
  const terms = orders.map((order) => ({
    value: (detail: LoggedModelDetail) => sortValue(detail, order),
    ascending: order.ascending,
  }));
  return keysetPage(found, terms, search.pageToken, search.limit);
}

function loggedModelsOf(
  ports: Ports,
  workspace: string,
  experiment: string,
): AsyncGenerator<LoggedModelDetail> {
  const pk = loggedModelsPartition(workspace, experiment);
  return newestFirst(ports, pk, (id) => readLoggedModel(ports.table, id));
}

const isOn = ({ dataset }: ModelMetric, wanted: DatasetFilter) =>
  dataset?.name === wanted.name && (wanted.digest === undefined || dataset.digest === wanted.digest);

function lookup(
  { model, params, tags, metrics }: LoggedModelDetail,
  { entity, key }: Pick<Clause, 'entity' | 'key'>,
  counts: (metric: ModelMetric) => boolean,
): string | number | undefined {
  if (entity === 'metric') return newest(metrics.filter((metric) => metric.key === key && counts(metric)));
  if (entity === 'param') return params.get(key);
  if (entity === 'tag') return tags.get(key);
  return model[key as 'name' | 'id' | 'modelType' | 'status' | 'sourceRun' | 'createdAt' | 'updatedAt'];
}

function newest(metrics: readonly ModelMetric[]): number | undefined {
  return metrics.toSorted((a, b) => b.timestamp - a.timestamp)[0]?.value;
}

function checkOrder(order: LoggedModelOrder): LoggedModelOrder {
  const invalid = (detail: string) => new CairnError('INVALID_ARGUMENT', detail, 'order_by');
  if (order.field.includes('.')) {
    if (order.field.startsWith('metrics.')) return order;
    throw invalid(`"${order.field}" cannot be ordered by, only metrics.<name>.`);
  }
  if (Object.hasOwn(LOGGED_MODEL_FIELDS.attributes, order.field)) return order;
  throw invalid(`"${order.field}" cannot be ordered by.`);
}

function sortValue(detail: LoggedModelDetail, { field, dataset }: LoggedModelOrder) {
  if (!field.includes('.')) {
    const key = LOGGED_MODEL_FIELDS.attributes[field]?.name ?? field;
    return lookup(detail, { entity: 'attribute', key }, () => true);
  }
  const key = field.slice('metrics.'.length);
  return lookup(
    detail,
    { entity: 'metric', key },
    (metric) => dataset === undefined || isOn(metric, dataset),
  );
}
