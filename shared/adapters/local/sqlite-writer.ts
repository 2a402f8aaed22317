import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import type { WriteOp } from '../table-limits.ts';

/** Transactions that share one commit. `now` is in Unix seconds. */
export interface WriteBatch {
  readonly now: number;
  readonly transactions: readonly (readonly WriteOp[])[];
}

/**
 * For each transaction the operations whose condition did not hold; or why none of them happened. `alone` when nobody else
 * has written since the batch before.
 */
export type WriteOutcome = { readonly alone: boolean } & (
  | { readonly failed: readonly (readonly number[])[] }
  | { readonly error: string; readonly full: boolean }
);

/** Layouts of the database, each made from the one before. `PRAGMA user_version` counts those that were applied. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE item (
     pk TEXT NOT NULL, sk TEXT NOT NULL, rev INTEGER NOT NULL, body TEXT NOT NULL, bytes BLOB, expires_at INTEGER,
     PRIMARY KEY (pk, sk)
   ) STRICT;
   CREATE INDEX expiring ON item (expires_at) WHERE expires_at IS NOT NULL;`,
];

const SQLITE_FULL = 13;
/** Commits between two looks for expired items, and the most that one look deletes. */
const PURGE_EVERY = 1000;
const PURGE_AT_MOST = 200;

/**
 * Owns the connection that writes, in a thread of its own: the table's thread never waits for an fsync, and all
 * transactions that came while one was under way share the next.
 */
function serve(path: string): void {
  const db = openForWriting(path);
  const port = parentPort;
  if (port === null) throw new Error('the writer runs as a worker');
  const apply = writer(db);
  port.on('message', (message: WriteBatch | 'close') => {
    if (message === 'close') {
      db.close();
      port.close();
      return;
    }
    port.postMessage(apply(message));
  });
  port.postMessage('ready');
}

function openForWriting(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 5000 });
  db.exec(`PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;
           PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY`);
  const { user_version: found } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (found > MIGRATIONS.length) {
    db.close();
    throw new Error(
      `The table ${path} has format ${found}, and this Cairn knows formats up to ${MIGRATIONS.length}: run a newer Cairn.`,
    );
  }
  MIGRATIONS.slice(found).forEach((migration, index) => {
    db.exec(`BEGIN IMMEDIATE; ${migration}; PRAGMA user_version = ${found + index + 1}; COMMIT`);
  });
  return db;
}

function writer(db: DatabaseSync): (batch: WriteBatch) => WriteOutcome {
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const revision = db.prepare('SELECT rev FROM item WHERE pk = ? AND sk = ?');
  // Changes with what other connections commit.
  const version = db.prepare('PRAGMA data_version');
  for (const statement of [revision, version]) statement.setReturnArrays(true);
  const versionNow = () => (version.get() as unknown as [number])[0];
  let seen = versionNow();
  const insert = db.prepare(
    'INSERT INTO item (pk, sk, rev, body, bytes, expires_at) VALUES (?, ?, 1, ?, ?, ?)',
  );
  const update = db.prepare(
    'UPDATE item SET rev = rev + 1, body = ?3, bytes = ?4, expires_at = ?5 WHERE pk = ?1 AND sk = ?2',
  );
  const remove = db.prepare('DELETE FROM item WHERE pk = ? AND sk = ?');
  const purge = db.prepare(
    `DELETE FROM item WHERE rowid IN (SELECT rowid FROM item WHERE expires_at <= ? LIMIT ${PURGE_AT_MOST})`,
  );
  let commitsToPurge = 0;

  const write = (op: WriteOp) => {
    if (op.kind === 'delete') remove.run(op.pk, op.sk);
    if (op.kind !== 'put') return;
    const statement: StatementSync = op.if === 'absent' ? insert : update;
    statement.run(op.pk, op.sk, op.body ?? '', op.bytes ?? null, op.expiresAt ?? null);
  };

  return ({ now, transactions }) => {
    let alone = false;
    try {
      begin.run();
      const found = versionNow();
      alone = found === seen;
      seen = found;
      const failed = transactions.map((ops) => {
        const indexes = ops.flatMap((op, index) => (holds(op, revision) ? [] : [index]));
        if (indexes.length === 0) ops.forEach(write);
        return indexes;
      });
      if (--commitsToPurge < 0 && purge.run(now).changes < PURGE_AT_MOST) commitsToPurge = PURGE_EVERY;
      commit.run();
      return { alone, failed };
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      const { message, errcode } = error as Error & { errcode?: number };
      return { alone, error: message, full: errcode === SQLITE_FULL };
    }
  };
}

/** All conditions of a transaction are looked at before it writes: its operations are on different keys. */
function holds(op: WriteOp, revision: StatementSync): boolean {
  if (op.if === 'any') return true;
  const found = revision.get(op.pk, op.sk) as unknown as [number] | undefined;
  if (op.if === 'absent') return found === undefined;
  return op.if === 'exists' ? found !== undefined : found?.[0] === op.if;
}

serve((workerData as { path: string }).path);
