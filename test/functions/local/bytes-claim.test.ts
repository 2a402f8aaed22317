import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { claimBucket, MARKER, storedOnDisk } from '../../../functions/local/bytes-claim.ts';
import { type DataDir, openDataDir } from '../../../shared/adapters/local/data-dir.ts';
import { openFilesystemBlobStore } from '../../../shared/adapters/local/filesystem-blob-store.ts';
import { systemClock } from '../../../shared/adapters/local/system-clock.ts';
import type { BlobStore } from '../../../shared/ports/blob-store.ts';

let dir: string;
let bucket: BlobStore;
const opened: DataDir[] = [];
const storeAt = (root: string) =>
  openFilesystemBlobStore({
    root: join(dir, root),
    baseUrl: () => 'http://localhost',
    signingKey: Buffer.alloc(32),
    clock: systemClock,
  });
const folder = async (name: string) => {
  const made = await openDataDir(join(dir, name));
  opened.push(made);
  return made;
};
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-claim-'));
  bucket = await storeAt('bucket');
});
afterEach(async () => {
  for (const { release } of opened.splice(0)) release();
  await rm(dir, { recursive: true, force: true });
});

test('a prefix is one data folder’s, at every start', async () => {
  const [mine, other] = [await folder('mine'), await folder('other')];
  await storedOnDisk(mine);
  await claimBucket(mine, bucket, 's3://models');
  await claimBucket(mine, bucket, 's3://models');
  await expect(claimBucket(other, bucket, 's3://models')).rejects.toThrow('the bytes of another Cairn');
  await expect(storedOnDisk(mine)).rejects.toThrow('are in s3://models: set CAIRN_BLOB_STORE');
});

test('a start that was killed in the middle of it goes on', async () => {
  const mine = await folder('mine');
  const failing = { ...bucket, put: () => Promise.reject(new Error('killed')) };
  await expect(claimBucket(mine, failing, 's3://models')).rejects.toThrow('killed');
  await claimBucket(mine, bucket, 's3://models');
});

test('a bucket that was copied elsewhere is known, and one that has lost the bytes is not', async () => {
  const mine = await folder('mine');
  await claimBucket(mine, bucket, 's3://models');
  const copied = await storeAt('copied');
  await copied.put(MARKER, await Array.fromAsync(await bucket.get(MARKER)).then(Buffer.concat));
  await claimBucket(mine, copied, 's3://elsewhere');
  await expect(claimBucket(mine, await storeAt('empty'), 's3://empty')).rejects.toThrow(
    's3://empty does not have the bytes of the data folder',
  );
});

test('a folder that has bytes in itself is not begun anew in a bucket', async () => {
  const mine = await folder('mine');
  await (await storeAt('mine/blobs')).put('workspaces/a', Buffer.from('a'));
  await expect(claimBucket(mine, bucket, 's3://models')).rejects.toThrow('npm run move-bytes');
  expect((await bucket.list('')).objects).toEqual([]);
});

test('what a newer Cairn wrote is refused', async () => {
  await bucket.put(MARKER, Buffer.from('{"format": 2, "id": "x"}'));
  await expect(claimBucket(await folder('mine'), bucket, 's3://models')).rejects.toThrow('newer');
});
