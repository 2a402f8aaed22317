import type { DomainEvent } from '../ports/event-bus.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { EndpointRef } from '../ports/serving-platform.ts';
import type { Table } from '../ports/table.ts';
import { endpointOf, FOLLOWER_PREFIX } from './keys.ts';

/** The endpoints whose rollout an event may concern: its own, or those whose spec names its model. */
export async function endpointsConcerned(table: Table, event: DomainEvent): Promise<EndpointRef[]> {
  const own = endpointOf(event.resource);
  if (own) return [own];
  if (!CONCERNING.has(event.type)) return [];
  const refs: EndpointRef[] = [];
  for await (const { sk } of itemsOf(table, event.resource, FOLLOWER_PREFIX)) {
    const [, workspace = '', endpoint = ''] = sk.split('/');
    refs.push({ workspace, endpoint });
  }
  return refs;
}

/** What happens to a model that an endpoint may have waited for. */
const CONCERNING = new Set([
  'alias.moved',
  'alias.deleted',
  'version.approved',
  'version.rejected',
  'version.deleted',
]);
