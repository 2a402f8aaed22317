import type { DatabaseSync } from 'node:sqlite';

/**
 * One view of the database for all reads of a turn of the event loop: SQLite's read lock is two system calls, which cost
 * three times what a read does. What another process writes is seen from the next turn on.
 */
export interface Snapshot {
  /** Before every read. */
  begin(): void;
  /** Before a write is acknowledged: whoever is told of it must see it. */
  end(): void;
}

/** @param onBegin hears of each new view, at its first moment */
export function openSnapshot(db: DatabaseSync, onBegin: () => void): Snapshot {
  const begin = db.prepare('BEGIN');
  const commit = db.prepare('COMMIT');
  let open = false;
  const end = () => {
    if (!open) return;
    open = false;
    commit.run();
  };
  return {
    begin: () => {
      if (open) return;
      begin.run();
      open = true;
      setImmediate(end);
      onBegin();
    },
    end,
  };
}
