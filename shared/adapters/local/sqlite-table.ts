import { dirname } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { CairnError } from '../../errors.ts';
import type { Clock } from '../../ports/clock.ts';
import {
  ConditionFailed,
  type Item,
  type Key,
  type Page,
  type Query,
  type Table,
} from '../../ports/table.ts';
import { checkedWrites, requireKey, requireKeys, requireLimit, type WriteOp } from '../table-limits.ts';
import { syncDirectory } from './durable-file.ts';
import { openSnapshot } from './sqlite-snapshot.ts';
import type { WriteBatch, WriteOutcome } from './sqlite-writer.ts';
import { systemClock } from './system-clock.ts';
import { tableMemory } from './table-memory.ts';

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
 * A Table in one SQLite file. Reads are synchronous on the caller's thread and see every write that was acknowledged; what
 * was read is remembered until it is written, or somebody else writes the file; whose very first write, if it comes at the
 * moment of an own one, is noticed with the next. Writes are grouped, committed and fsynced in a thread of their own.
 * @throws Error if the file was written by a newer Cairn
 */
export async function openSqliteTable(path: string, clock: Clock = systemClock): Promise<SqliteTable> {
  let revision = 0;
  const memory = tableMemory();
  /** Somebody else has written the file: then it may have been at any moment, also at that of an own write. */
  let shared = false;
  let writing = 0;
  const writer = await openWriter(path, clock, (writes) => {
    const end = memory.begin(writes);
    writing++;
    return (outcome) => {
      revision++;
      wrote = true;
      snapshot.end();
      if (outcome !== 'unknown') {
        writing--;
        end();
      }
      if (outcome === 'not alone') shared = true;
      if (outcome !== 'alone' || shared) memory.clear();
      if (db.isOpen) snapshot.begin();
    };
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
  const version = db.prepare('PRAGMA data_version');
  version.setReturnArrays(true);
  let seen: SQLOutputValue | undefined;
  let wrote = false;
  const snapshot = openSnapshot(db, () => {
    const [now] = version.get() as unknown as SQLOutputValue[];
    // The writer tells whether it was alone; without a write of its own it was somebody else's.
    if (now !== seen && !wrote) {
      memory.clear();
      if (seen !== undefined && writing === 0) shared = true;
    }
    seen = now;
    wrote = false;
  });

  const read = (key: Key): Item | undefined => {
    snapshot.begin();
    const known = memory.item(key);
    if (known) return known;
    const row = one.get(key.pk, key.sk) as Row | undefined;
    if (!row) return undefined;
    const item = toItem(key.pk, row);
    memory.keepItem(item, row[2].length);
    return item;
  };

  const readPage = (query: Query): Page => {
    const { pk, prefix = '', after, reverse = false, limit } = query;
    snapshot.begin();
    const known = memory.page(query);
    if (known) return known;
    const rows = reverse
      ? backward.iterate(pk, prefix, after ?? null, limit + 1)
      : // The least text after `after` is `after` and a NUL.
        forward.iterate(pk, prefix, after === undefined ? '' : `${after}\0`, limit + 1);
    const items: Item[] = [];
    let more = false;
    let length = 0;
    for (const row of rows as unknown as Iterable<Row>) {
      more = items.length === limit || length > MAX_PAGE_BYTES;
      if (more) break;
      items.push(toItem(pk, row));
      length += row[2].length + (row[3]?.length ?? 0);
    }
    const page = { items, more };
    memory.keepPage(query, page, length);
    return page;
  };

  return {
    get: async (key) => {
      requireKey(key);
      return read(key);
    },
    getMany: async (keys) => {
      requireKeys(keys);
      return keys.map(read);
    },
    query: async (query) => {
      requireLimit(query.limit);
      return readPage(query);
    },
    transact: async (ops) => {
      const writes = checkedWrites(ops);
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

/** After this many milliseconds without an answer the writer counts as lost. */
const LOST_AFTER = 30_000;

interface Waiting {
  readonly ops: readonly WriteOp[];
  readonly resolve: (failed: readonly number[]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * What is to be called before transactions are answered: whether the writer was the only one since those before. It is
 * `unknown` as long as the thread that was given them may still do them, and `over` follows when it cannot any more.
 */
type Ended = (outcome: 'alone' | 'not alone' | 'unknown' | 'over') => void;

/**
 * Hands transactions to the writer's thread, all that came meanwhile at once. If the thread dies or does not answer,
 * they are rejected (whether they happened is then unknown) and the next one starts a new thread.
 */
async function openWriter(path: string, clock: Clock, begin: (writes: readonly WriteOp[]) => Ended) {
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
      const ended = begin(batch.flatMap(({ ops }) => ops));
      const outcome = await exchange(current, message).then(
        (answer) => {
          ended(answer.alone ? 'alone' : 'not alone');
          return answer;
        },
        (error: Error) => {
          ended('unknown');
          void current.terminate().finally(() => ended('over'));
          throw error;
        },
      );
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
