import { createHash } from 'node:crypto';
import { fdatasyncSync, fstatSync, ftruncateSync, writeSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from './durable-file.ts';

/** A small content-addressed object: its path below the store's objects, whose last part is its SHA-256, and its bytes. */
export interface JournalEntry {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Length of the rest, length of the path, SHA-256 of path and bytes. */
const HEADER = 4 + 4 + 32;

/** A record of the journal: what replay needs to make the object again. */
export function journalRecord({ path, bytes }: JournalEntry): Buffer {
  const name = Buffer.from(path);
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(name.length + bytes.length, 0);
  header.writeUInt32LE(name.length, 4);
  createHash('sha256').update(name).update(bytes).digest().copy(header, 8);
  return Buffer.concat([header, name, bytes]);
}

/**
 * Adds records to a journal that is open for appending, durably. When they do not fit whole they are taken back: replay
 * would stop at a torn record, and lose all that come after it.
 */
export function appendRecords(fd: number, records: Uint8Array, write: typeof writeWhole = writeWhole): void {
  const { size } = fstatSync(fd);
  try {
    write(fd, records);
    fdatasyncSync(fd);
  } catch (error) {
    ftruncateSync(fd, size);
    throw error;
  }
}

export function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** The records of a journal up to the first that was not written whole. */
export function* journalEntries(journal: Buffer): Generator<JournalEntry> {
  for (let at = 0; at + HEADER <= journal.length; ) {
    const end = at + HEADER + journal.readUInt32LE(at);
    const nameEnd = at + HEADER + journal.readUInt32LE(at + 4);
    const payload = journal.subarray(at + HEADER, end);
    const digest = createHash('sha256').update(payload).digest();
    if (end > journal.length || nameEnd > end || !digest.equals(journal.subarray(at + 8, at + HEADER)))
      return;
    yield { path: journal.toString('utf8', at + HEADER, nameEnd), bytes: journal.subarray(nameEnd, end) };
    at = end;
  }
}

/**
 * Makes what the journals in `directory` tell, where a power cut took it, durably; then removes them. An object is
 * judged by its own name, which is its digest, so that replaying again, or too much, changes nothing.
 */
export async function replayJournals(directory: string, objects: string, unfinished: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  for (const name of (await readdir(directory)).sort()) {
    const journal = await readFile(join(directory, name));
    for (const { path, bytes } of journalEntries(journal))
      await restore(join(objects, path), bytes, unfinished);
    await rm(join(directory, name));
  }
}

async function restore(path: string, bytes: Uint8Array, unfinished: string): Promise<void> {
  const there = await readFile(path).catch(() => undefined);
  if (there?.equals(bytes)) return;
  const partial = join(unfinished, `replayed-${process.pid}`);
  await rm(partial, { force: true });
  const file = await open(partial, 'wx', 0o444);
  await file.writeFile(bytes);
  await file.sync();
  await file.close();
  const made = await mkdir(dirname(path), { recursive: true });
  await rename(partial, path);
  for (let at = dirname(path); ; at = dirname(at)) {
    await syncDirectory(at);
    if (made === undefined || at === dirname(made)) return;
  }
}
