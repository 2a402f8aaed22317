import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseFile, syncDirectory, writeFileDurably } from './durable-file.ts';

/** Layout of the data directory as a whole; the table, the key file and uploads carry their own formats too. */
const FORMAT = 1;
const SQLITE_BUSY = 5;

/** Where one server keeps what it keeps. */
export interface DataDir {
  readonly path: string;
  readonly table: string;
  readonly keys: string;
  /** Root of the blob store. */
  readonly blobs: string;
  /** Watched for files that become versions. */
  readonly incoming: string;
  /** Directories of running replicas: nothing in it outlives the server. */
  readonly run: string;
  /** Python environments, kept for the next replica with the same requirements. */
  readonly python: string;
  /** Gives the directory free for another server. */
  release(): void;
}

/**
 * Makes the directory (mode 0700) if need be and takes it for this process alone.
 * @throws Error if another server has it, or a newer Cairn wrote it
 */
export async function openDataDir(directory: string): Promise<DataDir> {
  const path = resolve(directory);
  const made = await mkdir(path, { recursive: true, mode: 0o700 });
  if (made !== undefined) await syncDirectory(dirname(made));
  const release = await lock(path);
  try {
    await requireFormat(path);
    const incoming = join(path, 'incoming');
    const run = join(path, 'run');
    await mkdir(incoming, { recursive: true });
    await mkdir(run, { recursive: true });
    return {
      path,
      table: join(path, 'table.sqlite'),
      keys: join(path, 'keys.json'),
      blobs: join(path, 'blobs'),
      incoming,
      run,
      python: join(path, 'python'),
      release,
    };
  } catch (error) {
    release();
    throw error;
  }
}

/**
 * An exclusive SQLite transaction on the file `lock`: the operating system ends it with the process, however that
 * dies, so it can neither be stale nor be taken for another process that got the same number.
 */
async function lock(path: string): Promise<() => void> {
  const file = join(path, 'lock');
  const holder = join(path, 'lock.pid');
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(file, { timeout: 0 });
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db?.close();
    const { errcode, message } = error as Error & { errcode?: number };
    if (errcode !== SQLITE_BUSY)
      throw new Error(
        `The data directory ${path} cannot be locked (${message}): see to its disk and permissions.`,
        { cause: error },
      );
    const pid = await readFile(holder, 'utf8').catch(() => 'unknown');
    throw new Error(`The data directory ${path} is in use by another server (process ${pid}).`, {
      cause: error,
    });
  }
  const release = () => {
    if (db.isOpen) db.close();
  };
  await writeFile(holder, String(process.pid), { mode: 0o600 }).catch((error) => {
    release();
    throw new Error(`The data directory ${path} cannot be written: ${error.message}.`, { cause: error });
  });
  return release;
}

async function requireFormat(path: string): Promise<void> {
  const file = join(path, 'format.json');
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (text === undefined) {
    await writeFileDurably(file, `${JSON.stringify({ format: FORMAT })}\n`);
    return;
  }
  const { format } = parseFile(file, text);
  if (format > FORMAT) {
    throw new Error(
      `The data directory ${path} has format ${format}, and this Cairn knows formats up to ${FORMAT}: run a newer Cairn.`,
    );
  }
}
