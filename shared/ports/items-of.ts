import type { Item, Table } from './table.ts';

/** All items of a partition (whose sort key begins with `prefix` and is after `start`) in order, read page by page. */
export async function* itemsOf(
  table: Table,
  pk: string,
  prefix?: string,
  start?: string,
): AsyncGenerator<Item> {
  for (let after = start; ; ) {
    const page = await table.query({ pk, prefix, after, limit: 500 });
    yield* page.items;
    after = page.items.at(-1)?.sk;
    if (!page.more) return;
  }
}
