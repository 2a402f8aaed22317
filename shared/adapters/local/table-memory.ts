import type { Item, Key, Page, Query } from '../../ports/table.ts';

/** What was read of a partition. */
interface Partition {
  readonly items: Map<string, Item>;
  /** By all that a query asks for; `prefix` tells which writes change its answer. */
  readonly pages: Map<string, { readonly prefix: string; readonly page: Page }>;
  /** An estimate of the bytes that were ever kept here: what is forgotten is not subtracted. */
  weight: number;
}

/** What is about to be written. */
export interface Written extends Key {
  readonly kind: 'put' | 'delete' | 'check';
}

/** Bytes of memory, as estimated, for all that was read lately; and as many for what was read before. */
const WEIGHT_MAX = 16_000_000;
const PARTITION_MAX = WEIGHT_MAX / 2;
/** A longer page is read anew each time: it would drive out what is asked for more often. */
const PAGE_MAX = 512_000;
/** An object takes up some bytes besides its text, and each character of text and keys more than one. */
const ITEM_WEIGHT = 150;
const CHARACTER_WEIGHT = 2;

/**
 * Items and pages of a table that were read, until they are written: what is here is always what was committed last, so
 * that a read may be answered from here or from the store alike.
 */
export interface TableMemory {
  item(key: Key): Item | undefined;
  /** @param length characters of its body */
  keepItem(item: Item, length: number): void;
  page(query: Query): Page | undefined;
  /** @param length characters of all bodies */
  keepPage(query: Query, page: Page, length: number): void;
  /**
   * To be called before the writes can happen: nothing of what they may change is kept until they are known to have
   * happened or not, which the caller tells by what this returns.
   */
  begin(writes: readonly Written[]): () => void;
  /** Forgets everything. */
  clear(): void;
}

export function tableMemory(): TableMemory {
  let young = new Map<string, Partition>();
  let old = new Map<string, Partition>();
  let youngWeight = 0;
  /** Partitions that are being written, with the number of transactions that do. */
  const busy = new Map<string, number>();

  const find = (pk: string): Partition | undefined => {
    const found = young.get(pk);
    if (found) return found;
    const before = old.get(pk);
    if (before) {
      old.delete(pk);
      young.set(pk, before);
      grow(before.weight);
    }
    return before;
  };

  const grow = (weight: number) => {
    youngWeight += weight;
    if (youngWeight <= WEIGHT_MAX) return;
    old = young;
    young = new Map();
    youngWeight = 0;
  };

  /** The partition that takes something of this weight; undefined while it is being written. */
  const making = (pk: string, weight: number): Partition | undefined => {
    if (busy.has(pk)) return undefined;
    let partition = find(pk);
    if (!partition) {
      partition = { items: new Map(), pages: new Map(), weight: 0 };
      young.set(pk, partition);
    }
    if (partition.weight + weight > PARTITION_MAX) {
      partition.items.clear();
      partition.pages.clear();
    }
    return partition;
  };

  const weigh = (partition: Partition, weight: number) => {
    const grown = partition.weight + weight > PARTITION_MAX ? weight - partition.weight : weight;
    partition.weight += grown;
    grow(grown);
  };

  const forget = ({ pk, sk }: Key) => {
    const partition = young.get(pk) ?? old.get(pk);
    if (!partition) return;
    partition.items.delete(sk);
    for (const [name, { prefix }] of partition.pages) if (sk.startsWith(prefix)) partition.pages.delete(name);
  };

  return {
    item: ({ pk, sk }) => find(pk)?.items.get(sk),
    keepItem(item, length) {
      if (!lasting(item)) return;
      const weight = ITEM_WEIGHT + CHARACTER_WEIGHT * (item.pk.length + item.sk.length + length);
      const partition = making(item.pk, weight);
      if (!partition) return;
      partition.items.set(item.sk, frozen(item));
      weigh(partition, weight);
    },
    page: (query) => find(query.pk)?.pages.get(nameOf(query))?.page,
    keepPage(query, page, length) {
      const name = nameOf(query);
      const names = page.items.reduce((sum, { sk }) => sum + sk.length, query.pk.length + name.length);
      const weight = ITEM_WEIGHT * (1 + page.items.length) + CHARACTER_WEIGHT * (names + length);
      if (weight > PAGE_MAX || !page.items.every(lasting)) return;
      const partition = making(query.pk, weight);
      if (!partition) return;
      partition.pages.set(name, { prefix: query.prefix ?? '', page: frozen(page) });
      weigh(partition, weight);
    },
    begin(writes) {
      const changes = writes.filter(({ kind }) => kind !== 'check');
      const partitions = new Set(changes.map(({ pk }) => pk));
      for (const pk of partitions) busy.set(pk, (busy.get(pk) ?? 0) + 1);
      changes.forEach(forget);
      return () => {
        for (const pk of partitions) {
          const left = (busy.get(pk) ?? 0) - 1;
          if (left > 0) busy.set(pk, left);
          else busy.delete(pk);
        }
      };
    },
    clear() {
      young.clear();
      old.clear();
      youngWeight = 0;
    },
  };
}

/** The store deletes what expires by itself, and bytes are neither small nor frozen. */
const lasting = ({ expiresAt, bytes }: Item) => expiresAt === undefined && bytes === undefined;

const nameOf = ({ prefix = '', after, reverse = false, limit }: Query) =>
  `${limit}${reverse ? '<' : '>'}${prefix.length}:${prefix}${after === undefined ? '' : `+${after}`}`;

/** One object is handed to many readers. */
function frozen<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (typeof part === 'object' && part !== null && !Object.isFrozen(part)) frozen(part);
  }
  return Object.freeze(value);
}
