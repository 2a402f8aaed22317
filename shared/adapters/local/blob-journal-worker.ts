import { closeSync, fstatSync, fsync, fsyncSync, openSync, renameSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { parentPort, workerData } from 'node:worker_threads';
import { appendRecords, type JournalEntry, journalRecord, writeWhole } from './blob-journal.ts';

export interface JournalPlaces {
  readonly objects: string;
  readonly journals: string;
  readonly unfinished: string;
}

/** `put`: objects to store; `settle`: leave nothing in the journal. */
export type JournalRequest =
  | { readonly id: number; readonly put: readonly JournalEntry[] }
  | { readonly id: number; readonly settle: true };

export interface JournalAnswer {
  readonly id: number;
  /** For each object of a put its file's numbers, which its etag is made of. */
  readonly stats?: readonly FileNumbers[];
  readonly error?: { readonly code: string; readonly message: string };
}

export interface FileNumbers {
  readonly size: bigint;
  readonly ino: bigint;
  readonly mtimeNs: bigint;
}

/** A journal of this many bytes is settled in the background. */
const SETTLE_BYTES = 8 * 1024 * 1024;
const FSYNCS_AT_ONCE = 4;
const sync = promisify(fsync);

const { objects, journals, unfinished } = workerData as JournalPlaces;
let number = 0;
let journal = openJournal();
let written = 0;
let placed = new Set<string>();
let settling: Promise<void> = Promise.resolve();

/**
 * Stores small objects with one fsync for all that come together: their bytes go to the journal, durably, and to files
 * whose own fsync comes later, when the journal is settled. A power cut before that is made good by replaying it.
 */
parentPort?.on('message', (request: JournalRequest) => {
  answer(request).then(
    (reply) => parentPort?.postMessage(reply),
    (error: NodeJS.ErrnoException) => {
      const { code = 'EIO', message } = error;
      const reply: JournalAnswer = { id: request.id, error: { code, message } };
      parentPort?.postMessage(reply);
    },
  );
});

async function answer(request: JournalRequest): Promise<JournalAnswer> {
  if ('settle' in request) {
    settle();
    await settling;
    return { id: request.id };
  }
  appendRecords(journal.fd, Buffer.concat(request.put.map(journalRecord)));
  const stats = request.put.map(place);
  if (written >= SETTLE_BYTES) settle();
  return { id: request.id, stats };
}

function place({ path, bytes }: JournalEntry, index: number): FileNumbers {
  // A name of its own: another process may have left its file behind, which only root could open again.
  const partial = join(unfinished, `${basename(journal.path)}-${index}`);
  const fd = openSync(partial, 'w', 0o444);
  try {
    writeWhole(fd, bytes);
    renameSync(partial, join(objects, path));
    placed.add(path);
    written += bytes.length;
    return fstatSync(fd, { bigint: true });
  } finally {
    closeSync(fd);
  }
}

/** Begins a new journal, and makes the files of the old one durable before it goes. */
function settle(): void {
  if (placed.size === 0) return;
  const old = { ...journal, placed };
  journal = openJournal();
  written = 0;
  placed = new Set();
  settling = settling.then(async () => {
    const paths = [...old.placed].map((path) => join(objects, path));
    const targets = [...paths, ...new Set(paths.map(dirname))];
    const next = targets.values();
    await Promise.all(
      Array.from({ length: FSYNCS_AT_ONCE }, async () => {
        for (const target of next) await syncPath(target);
      }),
    );
    closeSync(old.fd);
    unlinkSync(old.path);
  });
}

/** What was deleted meanwhile needs no fsync. */
async function syncPath(path: string): Promise<void> {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  try {
    await sync(fd);
  } finally {
    closeSync(fd);
  }
}

function openJournal(): { fd: number; path: string } {
  const path = join(
    journals,
    `${String(Date.now()).padStart(15, '0')}-${String(++number).padStart(6, '0')}.log`,
  );
  const fd = openSync(path, 'ax', 0o600);
  const directory = openSync(journals, 'r');
  fsyncSync(directory);
  closeSync(directory);
  return { fd, path };
}
