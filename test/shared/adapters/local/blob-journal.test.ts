import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import {
  appendRecords,
  journalEntries,
  journalRecord,
} from '../../../../shared/adapters/local/blob-journal.ts';
import { openFilesystemBlobStore } from '../../../../shared/adapters/local/filesystem-blob-store.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'cairn-journal-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const open = () =>
  openFilesystemBlobStore({
    root,
    baseUrl: () => '',
    signingKey: new Uint8Array(32),
    clock: { now: () => Date.now() },
  });
const addressed = (text: string) => {
  const bytes = Buffer.from(text);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { bytes, sha256, key: `a/b/${sha256}` };
};

test('a small object whose file a power cut emptied or took is there again after the next start', async () => {
  const store = await open();
  const objects = Array.from({ length: 30 }, (_, n) => addressed(`object ${n}`));
  await Promise.all(objects.map(({ key, bytes, sha256 }) => store.put(key, bytes, { sha256 })));
  for (const [n, { key }] of objects.entries()) {
    const path = join(root, 'objects', key);
    if (n % 3 === 0) await rm(path);
    if (n % 3 === 1) {
      await rm(path);
      await writeFile(path, '');
    }
  }
  await rm(join(root, 'objects', 'a', 'b', objects[2]?.sha256 ?? ''));
  await open();
  for (const { key, bytes } of objects) expect(await readFile(join(root, 'objects', key))).toEqual(bytes);
});

test('a deleted object does not come back with the next start', async () => {
  const store = await open();
  const { key, bytes, sha256 } = addressed('short-lived');
  await store.put(key, bytes, { sha256 });
  await store.delete(key);
  expect(await (await open()).stat(key)).toBeUndefined();
});

test('the journal does not grow without bound', async () => {
  const store = await open();
  for (let n = 0; n < 300; n++) {
    const { key, bytes, sha256 } = addressed(`${n} ${'x'.repeat(60_000)}`);
    await store.put(key, bytes, { sha256 });
  }
  await vi.waitFor(async () => expect(await readdir(join(root, 'journal'))).toHaveLength(1), {
    timeout: 30_000,
  });
});

test('of a journal that ends in the middle of a record, or holds other bytes, what came whole before is read', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ path: fc.string({ minLength: 1 }), bytes: fc.uint8Array({ maxLength: 50 }) }), {
        minLength: 1,
      }),
      fc.nat(),
      fc.uint8Array({ maxLength: 60 }),
      (entries, cut, junk) => {
        const records = entries.map((entry) =>
          journalRecord({ path: entry.path.toWellFormed(), bytes: entry.bytes }),
        );
        const whole = Buffer.concat(records);
        const end = cut % (whole.length + 1);
        let kept = 0;
        for (let at = 0; kept < records.length && at + (records[kept]?.length ?? 0) <= end; kept++)
          at += records[kept]?.length ?? 0;
        const read = [...journalEntries(whole.subarray(0, end))];
        expect(read.map(({ bytes }) => [...bytes])).toEqual(
          entries.slice(0, kept).map(({ bytes }) => [...bytes]),
        );
        expect([...journalEntries(Buffer.concat([whole, junk]))].length).toBeGreaterThanOrEqual(
          entries.length,
        );
      },
    ),
  );
});

test('a record that the disk had no room for hides none that come after it', async () => {
  const path = join(root, 'journal.log');
  const fd = openSync(path, 'ax');
  const record = (text: string) => journalRecord({ path: text, bytes: Buffer.from(text) });
  appendRecords(fd, record('before'));
  const full = (_: number, bytes: Uint8Array) => {
    writeSync(fd, bytes, 0, 20);
    throw Object.assign(new Error('no space left'), { code: 'ENOSPC' });
  };
  expect(() => appendRecords(fd, record('torn'), full)).toThrow('no space left');
  appendRecords(fd, record('after'));
  closeSync(fd);
  expect([...journalEntries(await readFile(path))].map((entry) => entry.path)).toEqual(['before', 'after']);
});
