import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { beginMove, claimBucket, endMove, storedOnDisk } from '../../../functions/local/bytes-claim.ts';
import { copyBytes, type Place } from '../../../functions/local/bytes-move.ts';
import { type DataDir, openDataDir } from '../../../shared/adapters/local/data-dir.ts';
import { openFilesystemBlobStore } from '../../../shared/adapters/local/filesystem-blob-store.ts';
import { systemClock } from '../../../shared/adapters/local/system-clock.ts';
import type { BlobStore } from '../../../shared/ports/blob-store.ts';
import { blobKey } from '../../../shared/storage/prefix.ts';
import { readAll } from '../../../shared/storage/read-all.ts';

let dir: string;
let data: DataDir;
let folder: Place;
let bucket: Place;
const place = async (name: string, isBucket = true): Promise<Place> => ({
  name,
  isBucket,
  blobs: await openFilesystemBlobStore({
    root: join(dir, name),
    baseUrl: () => 'http://localhost',
    signingKey: Buffer.alloc(32),
    clock: systemClock,
  }),
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-move-'));
  data = await openDataDir(join(dir, 'data'));
  folder = await place('data/blobs', false);
  bucket = await place('bucket');
});
afterEach(async () => {
  data.release();
  await rm(dir, { recursive: true, force: true });
});

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const WEIGHTS = blobKey('default', 'm', sha256('weights'));
const CHECKPOINT = 'workspaces/default/audit/checkpoints/1.json';
const fill = async ({ blobs }: Place) => {
  await blobs.put(WEIGHTS, Buffer.from('weights'), { sha256: sha256('weights') });
  await blobs.put(CHECKPOINT, Buffer.from('signed'));
};
const held = async ({ blobs }: Place) =>
  Object.fromEntries(
    await Promise.all(
      (await blobs.list('workspaces/')).objects.map(async ({ key }) => [
        key,
        (await readAll(blobs, key)).toString(),
      ]),
    ),
  );
const ALL = { [WEIGHTS]: 'weights', [CHECKPOINT]: 'signed' };
const copy = (from: Place, to: Place) => copyBytes(from.blobs, to.blobs, () => undefined);
const move = async (from: Place, to: Place) => {
  await beginMove(data, from, to);
  const done = await copy(from, to);
  await endMove(data, to);
  return done;
};
/** The places that a start takes. */
const accepted = async (...buckets: Place[]) => {
  const tries = [
    ['folder', () => storedOnDisk(data)] as const,
    ...buckets.map(({ name, blobs }) => [name, () => claimBucket(data, blobs, name)] as const),
  ];
  const results = await Promise.all(
    tries.map(
      async ([name, start]) =>
        [
          name,
          await start().then(
            () => true,
            () => false,
          ),
        ] as const,
    ),
  );
  return results.filter(([, took]) => took).map(([name]) => name);
};
/** A store that dies after so many writes, when those before have ended. */
const dying = (blobs: BlobStore, writes: number): BlobStore => {
  const begun: Promise<unknown>[] = [];
  return {
    ...blobs,
    put: async (...args) => {
      if (begun.length < writes) {
        const writing = blobs.put(...args);
        begun.push(writing);
        return writing;
      }
      for await (const _ of args[1]) break;
      await Promise.allSettled(begun);
      throw new Error('killed');
    },
  };
};

describe('moving bytes', () => {
  test('goes from the folder to a bucket, to another one and back, and each time one place is taken', async () => {
    await fill(folder);
    expect(await accepted(bucket)).toEqual(['folder']);
    expect(await move(folder, bucket)).toEqual({ copied: { objects: 2, bytes: 13 }, there: 0 });
    expect([await held(bucket), await accepted(bucket)]).toEqual([ALL, ['bucket']]);
    const other = await place('other');
    await move(bucket, other);
    expect([await held(other), await accepted(bucket, other)]).toEqual([ALL, ['other']]);
    await expect(move(other, folder)).rejects.toThrow('data/blobs has bytes already');
    await rm(join(dir, 'data/blobs'), { recursive: true });
    folder = await place('data/blobs', false);
    await move(other, folder);
    expect([await held(folder), await accepted(bucket, other)]).toEqual([ALL, ['folder']]);
    await expect(move(folder, other)).rejects.toThrow('other has bytes already');
  });

  test('goes on wherever it was killed, and until it has ended the bytes are where they were', async () => {
    await fill(folder);
    // Its first write is the bucket's marker.
    for (const writes of [0, 1, 1, 0]) {
      await expect(move(folder, { ...bucket, blobs: dying(bucket.blobs, writes) })).rejects.toThrow('killed');
      expect(await accepted(bucket)).toEqual(['folder']);
    }
    await beginMove(data, folder, bucket);
    expect((await copy(folder, bucket)).there).toBe(1);
    expect(await accepted(bucket)).toEqual(['folder']);
    await move(folder, bucket);
    expect(await accepted(bucket)).toEqual(['bucket']);

    await rm(join(dir, 'data/blobs'), { recursive: true });
    folder = await place('data/blobs', false);
    for (const writes of [0, 1, 0]) {
      await expect(move(bucket, { ...folder, blobs: dying(folder.blobs, writes) })).rejects.toThrow('killed');
      expect(await accepted(bucket)).toEqual(['bucket']);
    }
    await move(bucket, folder);
    expect([await held(folder), await accepted(bucket)]).toEqual([ALL, ['folder']]);
  });

  test('what was changed or deleted since the first beginning is so in the new place too', async () => {
    await fill(folder);
    await beginMove(data, folder, bucket);
    await copy(folder, bucket);
    await folder.blobs.put(CHECKPOINT, Buffer.from('SIGNED'));
    await folder.blobs.delete(WEIGHTS);
    expect(await move(folder, bucket)).toEqual({ copied: { objects: 1, bytes: 6 }, there: 0 });
    expect(await held(bucket)).toEqual({ [CHECKPOINT]: 'SIGNED' });
  });

  test('an object that is not what its name says is told of, all others are copied, and nothing is moved', async () => {
    await fill(folder);
    const damaged = blobKey('default', 'm', sha256('other'));
    await folder.blobs.put(damaged, Buffer.from('not it'));
    await expect(move(folder, bucket)).rejects.toThrow(`are not what its name says: ${damaged}.`);
    expect([await held(bucket), await accepted(bucket)]).toEqual([ALL, ['folder']]);
  });

  test('a bucket with another folder’s bytes is refused before anything is written to it', async () => {
    await fill(folder);
    const other = await openDataDir(join(dir, 'theirs'));
    await claimBucket(other, bucket.blobs, 'bucket');
    other.release();
    await expect(move(folder, bucket)).rejects.toThrow('bucket has bytes already, of another data folder');
    expect(await held(bucket)).toEqual({});
  });

  test('from a bucket that does not have the folder’s bytes nothing is moved', async () => {
    await expect(move(bucket, folder)).rejects.toThrow('are in itself, and not in bucket');
    await fill(folder);
    await move(folder, bucket);
    await expect(move(await place('other'), folder)).rejects.toThrow('other does not have the bytes');
  });

  test('bytes of another Cairn below the same prefix are not taken along', async () => {
    await claimBucket(data, bucket.blobs, 'bucket');
    await bucket.blobs.put('team/workspaces/default/x', Buffer.from('theirs'));
    await fill(bucket);
    await move(bucket, folder);
    expect((await folder.blobs.list('')).objects.map(({ key }) => key)).toEqual(Object.keys(ALL).sort());
  });

  test('how far it is is told', async () => {
    await fill(folder);
    const told: unknown[] = [];
    await copyBytes(folder.blobs, bucket.blobs, (done, all) => told.push([{ ...done }, { ...all }]));
    expect(told.at(-1)).toEqual([
      { objects: 2, bytes: 13 },
      { objects: 2, bytes: 13 },
    ]);
  });

  test('a record of a move that a newer Cairn wrote is refused', async () => {
    await writeFile(join(data.path, 'bucket-move.json'), '{"format": 2}');
    await expect(beginMove(data, folder, bucket)).rejects.toThrow('newer');
  });
});
