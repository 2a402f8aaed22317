import { createHash } from 'node:crypto';
import type { Item, Key, Op, Table } from '../ports/table.ts';

const OPS_AT_ONCE = 96;
/** A transaction has 4 MB at most (DynamoDB); a character may be three bytes. */
const CHARACTERS_AT_ONCE = 1_000_000;
const KEYS_AT_ONCE = 100;

/** The items that are there, by their sort key. */
export async function readAll(table: Table, keys: readonly Key[]): Promise<Map<string, Item>> {
  const found = new Map<string, Item>();
  for (let at = 0; at < keys.length; at += KEYS_AT_ONCE) {
    for (const item of await table.getMany(keys.slice(at, at + KEYS_AT_ONCE)))
      if (item) found.set(item.sk, item);
  }
  return found;
}

/** Writes groups of operations, as many in one transaction as it takes; a group stays together. */
export async function inTransactions(table: Table, groups: readonly (readonly Op[])[]): Promise<void> {
  let ops: Op[] = [];
  let size = 0;
  for (const group of groups) {
    const more = group.reduce((sum, op) => sum + sizeOf(op), 0);
    if (ops.length > 0 && (ops.length + group.length > OPS_AT_ONCE || size + more > CHARACTERS_AT_ONCE)) {
      await table.transact(ops);
      ops = [];
      size = 0;
    }
    ops.push(...group);
    size += more;
  }
  if (ops.length > 0) await table.transact(ops);
}

const sizeOf = (op: Op) => ('put' in op ? JSON.stringify(op.put.body).length : 0);

/** A short name for what has no other. */
export const nameOf = (...parts: readonly unknown[]) =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
