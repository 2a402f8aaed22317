import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import type { Ports } from '../ports/ports.ts';
import { type Clause, type FilterFields, fulfils, LOGGED_ENTITIES, parseFilter } from '../search/filter.ts';
import { keysetPage, notOfThisSearch, positionOf, positionToken } from '../search/keyset-page.ts';
import { parseOrder } from '../search/order-by.ts';
import type { Experiment } from './experiment.ts';
import { experimentKey, runEntryKey, runsPartition } from './keys.ts';
import { newestFirst } from './newest-first.ts';
import { type RunDetail, readRun } from './run.ts';
import { standing } from './standing.ts';
import type { ViewType } from './view-type.ts';

const START = { name: 'startTime', type: 'number' } as const;
const NAME = { name: 'name', type: 'text' } as const;

const RUN_FIELDS: FilterFields = {
  attributes: {
    run_id: { name: 'id', type: 'text', list: true },
    run_name: NAME,
    'run name': NAME,
    'Run name': NAME,
    'Run Name': NAME,
    user_id: { name: 'user', type: 'text' },
    status: { name: 'status', type: 'text' },
    artifact_uri: { name: 'artifactUri', type: 'text' },
    start_time: START,
    created: START,
    Created: START,
    end_time: { name: 'endTime', type: 'number' },
  },
  entities: {
    ...LOGGED_ENTITIES,
    run: 'attribute',
    dataset: 'dataset',
    datasets: 'dataset',
  },
  nullable: ['param', 'tag'],
};

export interface RunSearch {
  readonly workspace: string;
  readonly experiments: readonly string[];
  readonly filter: string;
  readonly view: ViewType;
  readonly orderBy: readonly string[];
  readonly limit: number;
  readonly pageToken?: string | undefined;
  /** How the protocol names where a run's artifacts are. */
  readonly artifactUri: (detail: RunDetail) => string;
}

type Wanted = (detail: RunDetail) => boolean;

const CONTEXT_TAG = 'mlflow.data.context';

/**
 * Runs by MLflow's filter grammar, ordered as asked and otherwise by their start, newest first. In that order of one
 * experiment it stops reading when the page is full; any other order has to read all of the experiments' runs.
 */
export async function searchRuns(
  ports: Ports,
  caller: Caller,
  search: RunSearch,
): Promise<{ items: readonly RunDetail[]; next?: string }> {
  authorize(caller, 'viewer', { workspace: search.workspace });
  const clauses = parseFilter(search.filter, RUN_FIELDS);
  const orders = parseOrder(search.orderBy, RUN_FIELDS);
  const wanted: Wanted = (detail) =>
    (search.view === 'ALL' || (search.view === 'DELETED_ONLY') === (detail.run.lifecycle === 'deleted')) &&
    clauses.every((clause) => holds(detail, clause, search.artifactUri));
  const [only, ...others] = search.experiments;
  if (orders.length === 0 && only !== undefined && others.length === 0)
    return newestRuns(ports, search, only, wanted);
  const found: RunDetail[] = [];
  for (const experiment of search.experiments)
    for await (const detail of await runsOf(ports, search.workspace, experiment))
      if (wanted(detail)) found.push(detail);
  const byStart = { entity: 'attribute', key: 'startTime', ascending: false } as const;
  const byId = { entity: 'attribute', key: 'id', ascending: true } as const;
  const terms = [...orders, byStart, byId].map((order) => ({
    value: (detail: RunDetail) => lookup(detail, order, search.artifactUri),
    ascending: order.ascending,
  }));
  return keysetPage(found, terms, search.pageToken, search.limit);
}

/** @throws CairnError `INVALID_ARGUMENT` about the field `page_token` */
function entryOf(pageToken: string): string {
  const [entry] = positionOf(pageToken, 1);
  if (typeof entry === 'string' && /^\d{13,16}#[\w-]{1,256}$/.test(entry)) return entry;
  throw notOfThisSearch();
}

/** A page in the order that the runs are kept in: it reads no other ones than its own, and those that are not wanted. */
async function newestRuns(
  ports: Ports,
  { workspace, limit, pageToken }: RunSearch,
  experiment: string,
  wanted: Wanted,
): Promise<{ items: readonly RunDetail[]; next?: string }> {
  const items: RunDetail[] = [];
  const start = pageToken ? entryOf(pageToken) : undefined;
  for await (const detail of await runsOf(ports, workspace, experiment, start)) {
    if (!wanted(detail)) continue;
    const last = items.at(-1)?.run;
    if (items.length === limit && last)
      return { items, next: positionToken([runEntryKey(workspace, experiment, last.startTime, last.id).sk]) };
    items.push(detail);
  }
  return { items };
}

/** The runs of an experiment, newest start first. */
async function runsOf(
  ports: Ports,
  workspace: string,
  experiment: string,
  start?: string,
): Promise<AsyncGenerator<RunDetail>> {
  const item = await ports.table.get(experimentKey(workspace, experiment));
  const read = async (id: string) => {
    const detail = await readRun(ports.table, id);
    return detail && { ...detail, run: standing(detail.run, item?.body as Experiment | undefined) };
  };
  return newestFirst(ports, runsPartition(workspace, experiment), read, start);
}

function holds(detail: RunDetail, clause: Clause, artifactUri: RunSearch['artifactUri']): boolean {
  if (clause.entity !== 'dataset') return fulfils(clause, (asked) => lookup(detail, asked, artifactUri));
  return detail.datasets.some(({ dataset, tags }) =>
    fulfils(clause, ({ key }) => {
      if (key === 'context') return tags.find((tag) => tag.key === CONTEXT_TAG)?.value;
      return key === 'name' ? dataset.name : key === 'digest' ? dataset.digest : undefined;
    }),
  );
}

function lookup(
  detail: RunDetail,
  { entity, key }: Pick<Clause, 'entity' | 'key'>,
  artifactUri: RunSearch['artifactUri'],
): string | number | undefined {
  switch (entity) {
    case 'metric':
      return detail.metrics.get(key)?.value;
    case 'param':
      return detail.params.get(key);
    case 'tag':
      return detail.tags.get(key);
    default:
      if (key === 'artifactUri') return artifactUri(detail);
      return detail.run[key as 'id' | 'name' | 'user' | 'status' | 'startTime' | 'endTime'];
  }
}
