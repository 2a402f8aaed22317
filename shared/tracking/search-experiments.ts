import type { Caller } from '../access/caller.ts';
import type { Ports } from '../ports/ports.ts';
import { type Clause, type FilterFields, fulfils, parseFilter, tagOf } from '../search/filter.ts';
import { keysetPage } from '../search/keyset-page.ts';
import { parseOrder } from '../search/order-by.ts';
import { type Experiment, experimentsOf } from './experiment.ts';
import type { ViewType } from './view-type.ts';

const EXPERIMENT_FIELDS: FilterFields = {
  attributes: {
    name: { name: 'name', type: 'text' },
    experiment_id: { name: 'id', type: 'text', list: true },
    creation_time: { name: 'createdAt', type: 'number' },
    last_update_time: { name: 'updatedAt', type: 'number' },
  },
  entities: { attribute: 'attribute', tag: 'tag', tags: 'tag' },
  nullable: ['tag'],
};

/** Experiments by MLflow's filter grammar, ordered as asked and otherwise by creation, newest first. */
export async function searchExperiments(
  ports: Ports,
  caller: Caller,
  search: {
    workspace: string;
    filter: string;
    view: ViewType;
    orderBy: readonly string[];
    limit: number;
    pageToken?: string | undefined;
  },
): Promise<{ items: readonly Experiment[]; next?: string }> {
  const clauses = parseFilter(search.filter, EXPERIMENT_FIELDS);
  const asked = parseOrder(search.orderBy, EXPERIMENT_FIELDS);
  const found: Experiment[] = [];
  for await (const experiment of experimentsOf(ports, caller, search.workspace)) {
    if (search.view !== 'ALL' && (search.view === 'DELETED_ONLY') !== (experiment.lifecycle === 'deleted'))
      continue;
    if (clauses.every((clause) => fulfils(clause, (about) => lookup(experiment, about))))
      found.push(experiment);
  }
  const byCreation = { entity: 'attribute', key: 'createdAt', ascending: false } as const;
  const byId = { entity: 'attribute', key: 'id', ascending: false } as const;
  const orders = [...(asked.length > 0 ? asked : [byCreation]), byId];
  const terms = orders.map((order) => ({
    value: (experiment: Experiment) => lookup(experiment, order),
    ascending: order.ascending,
  }));
  return keysetPage(found, terms, search.pageToken, search.limit);
}

const lookup = (experiment: Experiment, { entity, key }: Pick<Clause, 'entity' | 'key'>) =>
  entity === 'tag'
    ? tagOf(experiment.tags, key)
    : experiment[key as 'name' | 'id' | 'createdAt' | 'updatedAt'];
