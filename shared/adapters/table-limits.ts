import { CairnError } from '../errors.ts';
import { type Key, MAX_TRANSACTION_OPS, type Op } from '../ports/table.ts';

/** DynamoDB's limits, in bytes of UTF-8; an item's leaves room for what the port adds to the body. */
const MAX_PK_BYTES = 2048;
const MAX_SK_BYTES = 1024;
const MAX_ITEM_BYTES = 350 * 1024;
const MAX_TRANSACTION_BYTES = 4 * 1024 * 1024;
/** Attribute names, numbers and the tag of the write, generously. */
const ITEM_OVERHEAD_BYTES = 128;
const MAX_KEYS = 100;
const MAX_PAGE_ITEMS = 1000;

/** An operation within the limits, as stores take it: `body` is JSON text, a revision in `if` a number. */
export interface WriteOp {
  readonly kind: 'put' | 'delete' | 'check';
  readonly pk: string;
  readonly sk: string;
  readonly if: 'absent' | 'exists' | 'any' | number;
  readonly body?: string;
  readonly bytes?: Uint8Array | undefined;
  readonly expiresAt?: number | undefined;
}

/**
 * The operations of a transaction that every Table can take.
 * @throws CairnError `TOO_LARGE` for a record or a change that is too big; RangeError for what only a mistake in
 * the calling code can bring about
 */
export function checkedWrites(ops: readonly Op[]): WriteOp[] {
  if (ops.length > MAX_TRANSACTION_OPS) {
    throw new RangeError(`a transaction takes ${MAX_TRANSACTION_OPS} operations, not ${ops.length}`);
  }
  const writes = ops.map(checkedWrite);
  const keys = new Set(writes.map(({ pk, sk }) => JSON.stringify([pk, sk])));
  if (keys.size < writes.length) throw new RangeError('two operations of a transaction are on the same key');
  const size = writes.reduce((sum, write) => sum + transactionSize(write), 0);
  if (size > MAX_TRANSACTION_BYTES) throw tooLarge('The change', size, MAX_TRANSACTION_BYTES);
  return writes;
}

function checkedWrite(op: Op): WriteOp {
  const condition = typeof op.if === 'string' ? op.if : op.if.rev;
  if (!('put' in op)) {
    const key = 'delete' in op ? op.delete : op.check;
    requireKey(key);
    return { kind: 'delete' in op ? 'delete' : 'check', pk: key.pk, sk: key.sk, if: condition };
  }
  const { pk, sk, bytes, expiresAt } = op.put;
  requireKey(op.put);
  const body = JSON.stringify(op.put.body);
  if (body === undefined) throw new TypeError(`the body of ${pk} ${sk} is not JSON`);
  if (expiresAt !== undefined && !Number.isSafeInteger(expiresAt))
    throw new RangeError('expiresAt is in seconds');
  const size = sizeOf(body, bytes);
  if (size > MAX_ITEM_BYTES) throw tooLarge(`The record "${sk}"`, size, MAX_ITEM_BYTES);
  // A copy: a view would take the whole buffer it looks at along to a writer's thread.
  return { kind: 'put', pk, sk, if: condition, body, bytes: bytes && new Uint8Array(bytes), expiresAt };
}

const sizeOf = (body: string, bytes: Uint8Array | undefined) =>
  Buffer.byteLength(body) + (bytes?.length ?? 0);

const transactionSize = ({ pk, sk, body = '', bytes }: WriteOp) =>
  ITEM_OVERHEAD_BYTES + Buffer.byteLength(pk) + Buffer.byteLength(sk) + sizeOf(body, bytes);

const tooLarge = (what: string, size: number, most: number) =>
  new CairnError('TOO_LARGE', `${what} has ${size} bytes; at most ${most} can be kept.`);

/** @throws RangeError for a key that DynamoDB would not take */
export function requireKey({ pk, sk }: Key): void {
  requireText('partition key', pk, MAX_PK_BYTES);
  requireText('sort key', sk, MAX_SK_BYTES);
}

/** @throws RangeError for too many keys, or one that DynamoDB would not take */
export function requireKeys(keys: readonly Key[]): void {
  if (keys.length > MAX_KEYS) throw new RangeError(`getMany takes ${MAX_KEYS} keys, not ${keys.length}`);
  for (const key of keys) requireKey(key);
}

/** @throws RangeError for a page of none or of too many items */
export function requireLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_ITEMS) {
    throw new RangeError(`a page's limit is 1 to ${MAX_PAGE_ITEMS}, not ${limit}`);
  }
}

/** Whether DynamoDB takes the text as a sort key. */
export const isSortKey = (text: string): boolean =>
  text.length > 0 && text.isWellFormed() && Buffer.byteLength(text) <= MAX_SK_BYTES;

function requireText(what: string, text: string, maxBytes: number): void {
  if (text.length === 0) throw new RangeError(`a ${what} must not be empty`);
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
    throw new RangeError(`a ${what} has at most ${maxBytes} bytes of UTF-8`);
  }
  if (!text.isWellFormed()) throw new RangeError(`a ${what} must be well-formed Unicode`);
}
