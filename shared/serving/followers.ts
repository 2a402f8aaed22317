import type { DomainEvent } from '../ports/event-bus.ts';
import type { EndpointRef } from '../ports/serving-platform.ts';
import type { Table } from '../ports/table.ts';
import { endpointOf, FOLLOWER_PREFIX } from './keys.ts';

/** The endpoints whose rollout an event may concern: its own, or those whose spec names its model. */
export async function endpointsConcerned(table: Table, event: DomainEvent): Promise<EndpointRef[]> {
  const own = endpointOf(event.resource);
  if (own) return [own];
  const [kind] = event.type.split('.');
  if (kind !== 'alias' && kind !== 'version') return [];
  const refs: EndpointRef[] = [];
  for (let after: string | undefined; ; ) {
    const page = await table.query({
      pk: event.resource,
      prefix: FOLLOWER_PREFIX,
      limit: 1000,
      ...(after === undefined ? {} : { after }),
    });
    for (const { sk } of page.items) {
      const [, workspace = '', endpoint = ''] = sk.split('/');
      refs.push({ workspace, endpoint });
    }
    after = page.items.at(-1)?.sk;
    if (!page.more) return refs;
  }
}
