import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type FilesystemBlobStore,
  openFilesystemBlobStore,
} from '../../../../shared/adapters/local/filesystem-blob-store.ts';
import { storageDoor } from '../../../../shared/adapters/local/storage-door.ts';
import { freeChunk } from '../../../../shared/storage/free-chunk.ts';
import { blobStoreContract } from '../../../contract/blob-store.ts';
import { killedWhileWriting } from './killed-while-writing.ts';

blobStoreContract('filesystem', async () => {
  const root = await mkdtemp(join(tmpdir(), 'cairn-blobs-'));
  let now = Date.now();
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const store = await openFilesystemBlobStore({
    root,
    baseUrl: () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    signingKey: new Uint8Array(32).fill(1),
    clock: { now: () => now },
  });
  const door = storageDoor(store);
  server.on('request', (request, response) => void door(request, response));
  return {
    store,
    minPartSize: 300_000,
    pass: async (seconds) => {
      now += seconds * 1000;
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      // Neither the tests that failed on purpose nor those that succeeded left anything unfinished.
      expect(await readdir(join(root, 'unfinished'))).toEqual([]);
      await rm(root, { recursive: true });
    },
  };
});

describe('the filesystem store', () => {
  let dir: string;
  let store: FilesystemBlobStore;
  const reopen = (now: () => number = Date.now) =>
    openFilesystemBlobStore({
      root: join(dir, 'blobs'),
      baseUrl: () => 'http://localhost',
      signingKey: new Uint8Array(32),
      clock: { now },
    });
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-blobs-'));
    await mkdir(join(dir, 'blobs'));
    store = await reopen();
  });
  afterEach(() => rm(dir, { recursive: true }));

  const read = async (key: string) => Buffer.concat(await Array.fromAsync(await store.get(key)));
  const keysIn = async (prefix: string) => {
    const keys: string[] = [];
    for (let more = true; more; ) {
      const page = await store.list(prefix, { after: keys.at(-1) ?? '' });
      keys.push(...page.objects.map(({ key }) => key));
      more = page.more;
    }
    return keys;
  };

  it('gives back the room of a part that the disk has none for', async () => {
    const size = 4 * 1024 * 1024;
    const { uploadId } = await store.createMultipart('k', { size: 3 * size, partSize: size });
    await store.writePart('k', uploadId, 1, Readable.from([Buffer.alloc(size)]));
    const full = async function* () {
      yield Buffer.alloc(size / 2);
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    };
    const writing = store.writePart('k', uploadId, 3, Readable.from(full()));
    await expect(writing).rejects.toMatchObject({ code: 'NO_SPACE' });
    expect((await stat(join(dir, 'blobs/uploads', uploadId, 'data'))).size).toBe(size);
    for (const number of [2, 3])
      await store.writePart('k', uploadId, number, Readable.from([Buffer.alloc(size)]));
    await store.completeMultipart('k', uploadId, await store.listParts('k', uploadId));
    expect((await read('k')).equals(Buffer.alloc(3 * size))).toBe(true);
  });

  it('outlives bytes that stop coming in the middle: nobody is left to hear that their file is gone', async () => {
    const chunk = Buffer.alloc(1024 * 1024);
    async function* breakingOff() {
      for (let n = 0; n < 24; n++) yield chunk;
      throw new Error('the connection was lost');
    }
    for (let n = 0; n < 5; n++) await expect(store.put('a', breakingOff())).rejects.toThrow('was lost');
    expect(await readdir(join(dir, 'blobs/unfinished'))).toEqual([]);
    await store.put('b', Readable.from([chunk, chunk, chunk]));
  });

  it('keeps what it acknowledged, and whole objects only, when its process is killed while it writes', async () => {
    const acknowledged: number[] = [];
    for (let round = 0; round < 5; round++) {
      acknowledged.push(...(await killedWhileWriting('blobs', dir, 60)));
      store = await reopen();
      const found = new Set<number>();
      for (const key of await keysIn('writer/')) {
        const [, , n, sha256] = key.split('/');
        expect(
          createHash('sha256')
            .update(await read(key))
            .digest('hex'),
        ).toBe(sha256);
        found.add(Number(n));
      }
      expect(acknowledged.filter((n) => !found.has(n))).toEqual([]);
    }
  });

  it('an upload goes on where it was after a restart, and its digest is right', async () => {
    const { uploadId } = await store.createMultipart('a/b', { size: 250, partSize: 100 });
    const bytes = Buffer.from(Array.from({ length: 250 }, (_, n) => n));
    await store.writePart('a/b', uploadId, 1, Readable.from([bytes.subarray(0, 100)]));
    await store.writePart('a/b', uploadId, 3, Readable.from([bytes.subarray(200)]));
    const broken = Readable.from(
      (async function* () {
        yield bytes.subarray(100, 150);
        throw new Error('connection lost');
      })(),
    );
    await expect(store.writePart('a/b', uploadId, 2, broken)).rejects.toThrow('connection lost');
    store = await reopen();
    const listed = await store.listParts('a/b', uploadId);
    expect(listed.map(({ number, size }) => [number, size])).toEqual([
      [1, 100],
      [3, 50],
    ]);
    await store.writePart('a/b', uploadId, 2, Readable.from([bytes.subarray(100, 200)]));
    const completed = await store.completeMultipart('a/b', uploadId, await store.listParts('a/b', uploadId));
    expect(completed.sha256).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(await read('a/b')).toEqual(bytes);
    expect(await readdir(join(dir, 'blobs/uploads'))).toEqual([]);
  });

  it('a part sent again on a new connection ends the one that is stuck', async () => {
    const { uploadId } = await store.createMultipart('a', { size: 100, partSize: 100 });
    const stuck = new Readable({ read() {} });
    stuck.push(Buffer.alloc(50, 'x'));
    const first = expect(store.writePart('a', uploadId, 1, stuck)).rejects.toThrow(/abort/);
    await store.writePart('a', uploadId, 1, Readable.from([Buffer.alloc(100, 'y')]));
    await first;
    await store.completeMultipart('a', uploadId, await store.listParts('a', uploadId));
    expect((await read('a')).toString()).toBe('y'.repeat(100));
  });

  it('completing or aborting ends a part that is still on its way', async () => {
    for (const end of ['complete', 'abort'] as const) {
      const { uploadId } = await store.createMultipart('a', { size: 200, partSize: 100 });
      for (const number of [1, 2]) {
        await store.writePart('a', uploadId, number, Readable.from([Buffer.alloc(100, 'y')]));
      }
      const parts = await store.listParts('a', uploadId);
      const stuck = new Readable({ read() {} });
      const late = expect(store.writePart('a', uploadId, 2, stuck)).rejects.toThrow();
      if (end === 'abort') await store.abortMultipart('a', uploadId);
      else
        await expect(store.completeMultipart('a', uploadId, parts)).rejects.toMatchObject({
          code: 'PART_MISSING',
        });
      await late;
    }
  });

  it('refuses a part that the upload does not have', async () => {
    const { uploadId } = await store.createMultipart('a', { size: 250, partSize: 100 });
    for (const number of [0, 4, 1.5, Number.NaN]) {
      const writing = store.writePart('a', uploadId, number, Readable.from([Buffer.alloc(100)]));
      await expect(writing).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    }
  });

  it('an upload larger than the disk is refused before it begins', async () => {
    const upload = store.createMultipart('a', { size: 2 ** 52, partSize: 2 ** 40 });
    await expect(upload).rejects.toMatchObject({ code: 'NO_SPACE' });
  });

  it('removes what was never finished once it is old, and nothing else', async () => {
    const root = join(dir, 'blobs');
    await writeFile(join(root, 'unfinished/old'), 'x');
    await writeFile(join(root, 'unfinished/young'), 'x');
    const { uploadId: old } = await store.createMultipart('a', { size: 1, partSize: 1 });
    const { uploadId: young } = await store.createMultipart('a', { size: 1, partSize: 1 });
    await store.put('b', Buffer.from('b'));
    const longAgo = new Date(Date.now() - 8 * 24 * 60 * 60 * 1000);
    for (const path of ['unfinished/old', `uploads/${old}/parts`, 'objects/b']) {
      await utimes(join(root, path), longAgo, longAgo);
    }
    store = await reopen();
    expect(await readdir(join(root, 'unfinished'))).toEqual(['young']);
    expect(await readdir(join(root, 'uploads'))).toEqual([young]);
    expect((await read('b')).toString()).toBe('b');
  });

  it('objects are read-only files, and a link to one is the same file', async () => {
    await store.put('x/a', Buffer.from('abc'));
    const target = join(dir, 'linked');
    await store.linkBlob('x/a', target);
    expect((await stat(target)).mode & 0o777).toBe(0o444);
    expect((await stat(target)).ino).toBe((await stat(join(dir, 'blobs/objects/x/a'))).ino);
    await store.put('x/a', Buffer.from('other'));
    expect(await readFile(target, 'utf8')).toBe('abc');
    await expect(store.linkBlob('x/a', target)).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(store.linkBlob('x/none', join(dir, 'other'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('copies by linking: a copy takes no space', async () => {
    await store.put('x/a', Buffer.from('abc'));
    await store.copy('x/a', 'y/b');
    const file = (key: string) => stat(join(dir, 'blobs/objects', key));
    expect((await file('y/b')).ino).toBe((await file('x/a')).ino);
  });

  it('folders go with their last object', async () => {
    await store.put('x/y/z/a', Buffer.from('a'));
    await store.put('x/b', Buffer.from('b'));
    await store.delete('x/y/z/a');
    expect(await readdir(join(dir, 'blobs/objects/x'))).toEqual(['b']);
    await store.delete('x/b');
    expect(await readdir(join(dir, 'blobs/objects'))).toEqual([]);
  });

  it('frees a large file behind the delete, and at the next start what was left of one', async () => {
    const removed = join(dir, 'blobs/removed');
    const chunk = Buffer.alloc(1024 * 1024, 'x');
    await store.put('large', Readable.from(Array.from({ length: 16 }, () => chunk)));
    await store.put('a/copy-of-it', Buffer.from('kept'));
    await store.copy('large', 'copy');
    await store.delete('large');
    expect(await store.stat('large')).toBeUndefined();
    await expect.poll(() => readdir(removed)).toEqual([]);
    expect((await read('copy')).length).toBe(16 * chunk.length);
    await store.delete('a');
    expect((await read('a/copy-of-it')).toString()).toBe('kept');
    await writeFile(join(removed, 'left-by-a-kill'), 'x');
    store = await reopen();
    await expect.poll(() => readdir(removed)).toEqual([]);
  });

  it.each([
    ['an object in memory', 1000],
    ['an object through the page cache', 3_000_000],
    ['an object past the page cache', 20_000_000],
  ])('lets go of the chunks of %s when their bytes are safe', async (_, size) => {
    const bytes = randomBytes(size);
    const chunks = Array.from(
      { length: Math.ceil(size / 60_000) },
      (_, at) =>
        // A buffer of its own, as a request's chunks are.
        new Uint8Array(bytes.subarray(at * 60_000, (at + 1) * 60_000)),
    );
    await store.put('a', Readable.from(chunks), { size, release: freeChunk });
    expect(chunks.map((chunk) => chunk.length)).toEqual(chunks.map(() => 0));
    expect((await read('a')).equals(bytes)).toBe(true);
  });

  it('leaves memory alone that a chunk shares', async () => {
    const bytes = Buffer.from(new Uint8Array(100).fill(7).buffer);
    await store.put('a', Readable.from([bytes.subarray(0, 60)]), { size: 60, release: freeChunk });
    expect(bytes.equals(Buffer.alloc(100, 7))).toBe(true);
  });

  it('refuses a key that would be file and folder of one name', async () => {
    await store.put('x/a', Buffer.from('a'));
    await expect(store.put('x/a/b', Buffer.from('b'))).rejects.toMatchObject({ code: 'INVALID_KEY' });
    await expect(store.put('x', Buffer.from('b'))).rejects.toMatchObject({ code: 'INVALID_KEY' });
    expect((await read('x/a')).toString()).toBe('a');
  });

  it('knows the digest of what was written lately', async () => {
    const { sha256 } = await store.put('a', Buffer.from('abc'));
    expect((await store.stat('a'))?.sha256).toBe(sha256);
    await store.copy('a', 'b');
    expect((await store.stat('b'))?.sha256).toBe(sha256);
    store = await reopen();
    expect((await store.stat('a'))?.sha256).toBeUndefined();
  });
});
