import type { Item, Page } from './table.ts';

/** Which page of a list is wanted. */
export interface PageRequest {
  /** Where the page before it ended: its `next`. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** A page of a list; `next` is there when more follows. */
export interface ListPage<T> {
  readonly items: T[];
  readonly next?: string;
}

/** The page of what `map` makes of the items; what it makes undefined is left out. */
export function listPage<T>(page: Page, map: (item: Item) => T | undefined): ListPage<T> {
  const items = page.items.map(map).filter((mapped) => mapped !== undefined);
  const last = page.items.at(-1);
  return page.more && last ? { items, next: last.sk } : { items };
}
