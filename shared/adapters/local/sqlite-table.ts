import { dirname } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { CairnError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import {
  ConditionFailed,
  type Item,
  type Key,
  MAX_TRANSACTION_OPS,
  type Op,
  type Table,
} from '../../ports/table.ts';
import { syncDirectory } from './durable-file.ts';
import { openSnapshot } from './sqlite-snapshot.ts';
import type { WriteBatch, WriteOp, WriteOutcome } from './sqlite-writer.ts';
import { systemClock } from './system-clock.ts';

/** DynamoDB's limits, in bytes of UTF-8; an item's leaves room for what the port adds to the body. */
const MAX_PK_BYTES = 2048;
const MAX_SK_BYTES = 1024;
const MAX_ITEM_BYTES = 350 * 1024;
const MAX_TRANSACTION_BYTES = 4 * 1024 * 1024;
const MAX_KEYS = 100;
const MAX_PAGE_ITEMS = 1000;
/** A page ends after this many bytes of items, so that one of large items does not fill the memory. */
const MAX_PAGE_BYTES = 4 * 1024 * 1024;

const COLUMNS = 'sk, rev, body, bytes, expires_at';
/** Greater than every UTF-8 text: 0xFF is in none. */
const LAST = `CAST(x'FF' AS TEXT)`;

/** A Table of one machine. */
export interface SqliteTable extends Table {
  /** Another number after every write, from before it is acknowledged: while it stays, so does all that was read. */
  revision(): number;
  close(): Promise<void>;
}

/**
 * A Table in one SQLite file. Reads are synchronous on the caller's thread and see every write that was
 * acknowledged; writes are grouped, committed and fsynced in a thread of their own.
 * @throws Error if the file was written by a newer Cairn
 */
export async function openSqliteTable(path: string, clock: Clock = systemClock): Promise<SqliteTable> {
  let revision = 0;
  const writer = await openWriter(path, clock, () => {
    revision++;
    snapshot.end();
  });
  await syncDirectory(dirname(path));
  const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
  db.exec('PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -16384');
  const one = db.prepare(`SELECT ${COLUMNS} FROM item WHERE pk = ? AND sk = ?`);
  const forward = db.prepare(
    `SELECT ${COLUMNS} FROM item WHERE pk = ?1 AND sk >= max(?2, ?3) AND sk < ?2 || ${LAST} ORDER BY sk LIMIT ?4`,
  );
  const backward = db.prepare(
    `SELECT ${COLUMNS} FROM item WHERE pk = ?1 AND sk >= ?2 AND sk < min(?2 || ${LAST}, coalesce(?3, ${LAST}))
     ORDER BY sk DESC LIMIT ?4`,
  );
  for (const statement of [one, forward, backward]) statement.setReturnArrays(true);
  const snapshot = openSnapshot(db);

  const read = (key: Key): Item | undefined => {
    requireKey(key);
    snapshot.begin();
    const row = one.get(key.pk, key.sk) as Row | undefined;
    return row && toItem(key.pk, row);
  };

  return {
    get: async (key) => read(key),
    getMany: async (keys) => {
      if (keys.length > MAX_KEYS) throw new RangeError(`getMany takes ${MAX_KEYS} keys, not ${keys.length}`);
      return keys.map(read);
    },
    query: async ({ pk, prefix = '', after, reverse = false, limit }) => {
      if (!Number.isInteger(limit) || limit < 1 || limit > MAX_PAGE_ITEMS) {
        throw new RangeError(`a page's limit is 1 to ${MAX_PAGE_ITEMS}, not ${limit}`);
      }
      snapshot.begin();
      const rows = reverse
        ? backward.iterate(pk, prefix, after ?? null, limit + 1)
        : // The least text after `after` is `after` and a NUL.
          forward.iterate(pk, prefix, after === undefined ? '' : `${after}\0`, limit + 1);
      const items: Item[] = [];
      let bytes = 0;
      for (const row of rows as unknown as Iterable<Row>) {
        if (items.length === limit || bytes > MAX_PAGE_BYTES) return { items, more: true };
        items.push(toItem(pk, row));
        bytes += row[2].length + (row[3]?.length ?? 0);
      }
      return { items, more: false };
    },
    transact: async (ops) => {
      const writes = toWrites(ops);
      if (writes.length === 0) return;
      const failed = await writer.write(writes);
      if (failed.length > 0) throw new ConditionFailed(failed);
    },
    revision: () => revision,
    close: async () => {
      await writer.close();
      snapshot.end();
      if (db.isOpen) db.close();
    },
  };
}

type Row = [sk: string, rev: number, body: string, bytes: Uint8Array | null, expiresAt: number | null] &
  SQLOutputValue[];

function toItem(pk: string, [sk, rev, body, bytes, expiresAt]: Row): Item {
  const item: Item = { pk, sk, rev, body: JSON.parse(body) };
  if (bytes === null && expiresAt === null) return item;
  return { ...item, ...(bytes === null ? {} : { bytes }), ...(expiresAt === null ? {} : { expiresAt }) };
}

function toWrites(ops: readonly Op[]): WriteOp[] {
  if (ops.length > MAX_TRANSACTION_OPS) {
    throw new RangeError(`a transaction takes ${MAX_TRANSACTION_OPS} operations, not ${ops.length}`);
  }
  const writes = ops.map(toWrite);
  const keys = new Set(writes.map(({ pk, sk }) => JSON.stringify([pk, sk])));
  if (keys.size < writes.length) throw new RangeError('two operations of a transaction are on the same key');
  const size = writes.reduce((sum, { body = '', bytes }) => sum + sizeOf(body, bytes), 0);
  if (size > MAX_TRANSACTION_BYTES) throw tooLarge('The change', size, MAX_TRANSACTION_BYTES);
  return writes;
}

function toWrite(op: Op): WriteOp {
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
  // A copy: a view would take the whole buffer it looks at along to the writer's thread.
  return { kind: 'put', pk, sk, if: condition, body, bytes: bytes && new Uint8Array(bytes), expiresAt };
}

const sizeOf = (body: string, bytes: Uint8Array | undefined) =>
  Buffer.byteLength(body) + (bytes?.length ?? 0);

const tooLarge = (what: string, size: number, most: number) =>
  new CairnError('TOO_LARGE', `${what} has ${size} bytes; at most ${most} can be kept.`);

function requireKey({ pk, sk }: Key): void {
  requireText('partition key', pk, MAX_PK_BYTES);
  requireText('sort key', sk, MAX_SK_BYTES);
}

function requireText(what: string, text: string, maxBytes: number): void {
  if (text.length === 0) throw new RangeError(`a ${what} must not be empty`);
  if (text.length * 3 > maxBytes && Buffer.byteLength(text) > maxBytes) {
    throw new RangeError(`a ${what} has at most ${maxBytes} bytes of UTF-8`);
  }
  if (!text.isWellFormed()) throw new RangeError(`a ${what} must be well-formed Unicode`);
}

/** After this many milliseconds without an answer the writer counts as lost. */
const LOST_AFTER = 30_000;

interface Waiting {
  readonly ops: readonly WriteOp[];
  readonly resolve: (failed: readonly number[]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Hands transactions to the writer's thread, all that came meanwhile at once. If the thread dies or does not answer,
 * they are rejected (whether they happened is then unknown) and the next one starts a new thread.
 */
async function openWriter(path: string, clock: Clock, beforeAnswer: () => void) {
  let worker: Worker | undefined;
  let waiting: Waiting[] = [];
  let running = false;
  let closed = false;

  const started = async (): Promise<Worker> => {
    const fresh = await startWorker(path);
    // One that dies while nobody waits for it is replaced when it is needed.
    fresh
      .on('error', () => undefined)
      .once('exit', () => {
        if (worker === fresh) worker = undefined;
      });
    worker = fresh;
    return fresh;
  };
  await started();

  const write = (ops: readonly WriteOp[]): Promise<readonly number[]> => {
    if (closed) return Promise.reject(new Error('the table is closed'));
    return new Promise((resolve, reject) => {
      waiting.push({ ops, resolve, reject });
      if (!running) {
        running = true;
        setImmediate(run);
      }
    });
  };

  const run = async (): Promise<void> => {
    const batch = waiting;
    waiting = [];
    try {
      const current = worker ?? (await started());
      const message: WriteBatch = {
        now: Math.floor(clock.now() / 1000),
        transactions: batch.map(({ ops }) => ops),
      };
      const outcome = await exchange(current, message).finally(beforeAnswer);
      if ('error' in outcome) throw outcome.full ? storageFull() : new Error(`SQLite: ${outcome.error}`);
      for (const [index, { resolve }] of batch.entries()) resolve(outcome.failed[index] ?? []);
    } catch (error) {
      if (error instanceof WriterLost) worker = undefined;
      for (const { reject } of batch) reject(error as Error);
    }
    // Those that were just answered get the chance to write again and join the next commit.
    setImmediate(() => {
      if (waiting.length > 0) void run();
      else running = false;
    });
  };

  const close = async (): Promise<void> => {
    closed = true;
    while (running) await new Promise((resolve) => setImmediate(resolve));
    const last = worker;
    worker = undefined;
    if (last === undefined) return;
    last.ref();
    const exited = new Promise((resolve) => last.once('exit', resolve));
    last.postMessage('close');
    await exited;
  };

  return { write, close };
}

class WriterLost extends Error {}

const storageFull = () => new CairnError('STORAGE_FULL', 'The disk that holds the table is full.');

async function startWorker(path: string): Promise<Worker> {
  const worker = new Worker(new URL('./sqlite-writer.ts', import.meta.url), { workerData: { path } });
  await nextMessage(worker);
  worker.unref();
  return worker;
}

async function exchange(worker: Worker, batch: WriteBatch): Promise<WriteOutcome> {
  worker.ref();
  worker.postMessage(batch);
  try {
    return (await nextMessage(worker)) as WriteOutcome;
  } finally {
    worker.unref();
  }
}

/** @throws WriterLost if the thread ends or is silent for too long */
function nextMessage(worker: Worker): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const lost = (reason: string, cause?: unknown) => {
      stop();
      void worker.terminate();
      reject(new WriterLost(reason, { cause }));
    };
    const onMessage = (message: unknown) => {
      stop();
      resolve(message);
    };
    const onError = (error: Error) => lost(error.message, error);
    const onExit = () => lost('the thread that writes the table has ended');
    const timer = setTimeout(() => lost('the thread that writes the table does not answer'), LOST_AFTER);
    const stop = () => {
      clearTimeout(timer);
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    worker.once('message', onMessage).once('error', onError).once('exit', onExit);
  });
}
