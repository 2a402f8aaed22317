import { itemsOf } from '../ports/items-of.ts';
import type { Table } from '../ports/table.ts';

/** A workspace's directory of chains; a chain's entry is written with its first event. */
export const chainsPartition = (workspace: string) => `chains/${workspace}`;

/** The names of all chains of a workspace, in order. */
export async function* chainsOf(table: Table, workspace: string): AsyncGenerator<string> {
  for await (const item of itemsOf(table, chainsPartition(workspace))) yield item.sk;
}
