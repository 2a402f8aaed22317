/**
 * The metadata store: items under a partition key and a sort key, changed only by conditional writes
 * (DynamoDB's semantics; compare-and-swap is the core verb, as in lakeFS' kv.Store).
 */
export interface Table {
  /** A strongly consistent read of one item. */
  get(key: Key): Promise<Item | undefined>;
  /** Strongly consistent reads of up to 100 items, answered in the order of the keys. */
  getMany(keys: readonly Key[]): Promise<(Item | undefined)[]>;
  /** One page of a partition, in byte order of the sort key's UTF-8. */
  query(query: Query): Promise<Page>;
  /**
   * Up to 100 operations on different keys: all of them happen or none does, durably, before this resolves.
   * @throws ConditionFailed naming the operations whose condition did not hold; then nothing has changed.
   */
  transact(ops: readonly Op[]): Promise<void>;
}

export interface Key {
  readonly pk: string;
  readonly sk: string;
}

export interface Item<Body = unknown> extends Key {
  /** 1 when the item is created, one more at each write: what `{ rev }` compares, and what an ETag is made of. */
  readonly rev: number;
  /** The JSON document. At most 350 KB together with `bytes`: DynamoDB's limit is 400 KB an item. */
  readonly body: Body;
  readonly bytes?: Uint8Array;
  /** Unix seconds after which the store may delete the item by itself; a reader must check, deletion can be late. */
  readonly expiresAt?: number;
}

/** `absent`: no such item yet. `exists`: any revision of it. `{ rev }`: exactly that revision. */
export type Condition = 'absent' | 'exists' | { readonly rev: number };

export type Op =
  | { readonly put: NewItem; readonly if: 'absent' | { readonly rev: number } }
  /** `any` deletes the item if it is there and succeeds if it is not. */
  | { readonly delete: Key; readonly if: 'any' | { readonly rev: number } }
  | { readonly check: Key; readonly if: Condition };

export type NewItem = Omit<Item, 'rev'>;

export interface Query {
  readonly pk: string;
  /** Only sort keys that begin with this. */
  readonly prefix?: string;
  /** Exclusive start: only sort keys after this one (before it, when `reverse`). The last `sk` of a page continues it. */
  readonly after?: string;
  readonly reverse?: boolean;
  /** Items in a page at most: 1 to 1000. A page may be shorter although more follows: look at `more`. */
  readonly limit: number;
}

export interface Page {
  readonly items: readonly Item[];
  /** Whether another page follows; continue with `after` = the last item's `sk`. */
  readonly more: boolean;
}

/** Greatest number of operations in one transaction (DynamoDB TransactWriteItems). */
export const MAX_TRANSACTION_OPS = 100;

/** A transaction was refused; `failed` holds the indexes of the operations whose condition did not hold. */
export class ConditionFailed extends Error {
  readonly failed: readonly number[];
  constructor(failed: readonly number[]) {
    super(`condition failed for operation ${failed.join(', ')}`);
    this.name = 'ConditionFailed';
    this.failed = failed;
  }
}
