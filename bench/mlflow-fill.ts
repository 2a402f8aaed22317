import { DatabaseSync } from 'node:sqlite';

/**
 * Gives a model of MLflow's own server so many versions and aliases, as copies of its first version's row: its API would
 * take minutes.
 */
export function fillMlflow(database: string, name: string, versions: number, aliases: number): void {
  const db = new DatabaseSync(database, { timeout: 30_000 });
  try {
    const first = db.prepare('SELECT * FROM model_versions WHERE name = ? AND version = 1').get(name);
    if (first === undefined) throw new Error(`MLflow has no version 1 of ${name}`);
    db.exec('BEGIN IMMEDIATE');
    const copy = inserter(db, 'model_versions', Object.keys(first));
    for (let version = 2; version <= versions; version++) {
      const storage = first.storage_location === null ? null : `${first.storage_location}/${version}`;
      copy({ ...first, version, storage_location: storage });
    }
    const workspace: Row = first.workspace === undefined ? {} : { workspace: first.workspace };
    for (let n = 0; n < aliases; n++) {
      const row: Row = {
        ...workspace,
        name,
        alias: `a${n}`,
        version: 1 + Math.floor((n * versions) / aliases),
      };
      inserter(db, 'registered_model_aliases', Object.keys(row))(row);
    }
    db.exec('COMMIT');
  } finally {
    db.close();
  }
}

type Row = Record<string, null | number | bigint | string | Uint8Array>;

function inserter(db: DatabaseSync, table: string, columns: readonly string[]): (row: Row) => void {
  const places = columns.map(() => '?').join(', ');
  const statement = db.prepare(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places})`);
  return (row) => void statement.run(...columns.map((column) => row[column] ?? null));
}
