import type { EndpointRef } from '../ports/serving-platform.ts';
import type { Table } from '../ports/table.ts';
import { WORKSPACES } from '../registry/keys.ts';
import { endpointsPartition } from './keys.ts';

/** All endpoints of all workspaces: what a controller that starts has to look after. */
export async function everyEndpoint(table: Table): Promise<EndpointRef[]> {
  const refs: EndpointRef[] = [];
  for await (const workspace of sortKeys(table, WORKSPACES)) {
    for await (const endpoint of sortKeys(table, endpointsPartition(workspace)))
      refs.push({ workspace, endpoint });
  }
  return refs;
}

async function* sortKeys(table: Table, pk: string): AsyncGenerator<string> {
  for (let after: string | undefined; ; ) {
    const page = await table.query({ pk, limit: 1000, ...(after === undefined ? {} : { after }) });
    for (const { sk } of page.items) yield sk;
    after = page.items.at(-1)?.sk;
    if (!page.more) return;
  }
}
