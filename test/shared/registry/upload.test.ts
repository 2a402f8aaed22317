import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { cleanUp } from '../../../functions/reconcile/housekeeping.ts';
import type { Key } from '../../../shared/ports/table.ts';
import { completeUpload, requestCompletion, verifyUpload } from '../../../shared/registry/complete-upload.ts';
import { deleteModel } from '../../../shared/registry/delete-model.ts';
import { abortUpload, expireUploads } from '../../../shared/registry/end-upload.ts';
import { createModel, listModels } from '../../../shared/registry/model.ts';
import { reclaim } from '../../../shared/registry/reclaim.ts';
import { registerArrival } from '../../../shared/registry/register-arrival.ts';
import { createUpload, getUpload, signParts } from '../../../shared/registry/upload.ts';
import { getVersion, listFiles, listVersions } from '../../../shared/registry/version.ts';
import { arrivalStagingKey, blobKey, modelPrefix, stagingPrefix } from '../../../shared/storage/prefix.ts';
import { digest } from '../../../shared/storage/verify.ts';
import { interrupted } from '../../support/interrupted-ports.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const ada = someone('ada', 'admin');
const onError = (error: unknown) => {
  throw error;
};
const ref = { workspace: 'default', name: 'digits' };
const draft = { message: 'm', description: '', tags: {}, source: { via: 'upload' as const } };
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const announce = (path: string, bytes: Uint8Array) => ({ path, size: bytes.length, sha256: sha256(bytes) });

let ports: LocalPorts;
let model: Awaited<ReturnType<typeof createModel>>;
beforeEach(async () => {
  ports = await openLocalPorts();
  model = await createModel(ports, ada, { ...ref, description: '', tags: {} });
});
afterEach(() => ports.close());

const begin = async (
  files: Record<string, Uint8Array>,
  announced = Object.entries(files).map(([path, bytes]) => announce(path, bytes)),
) => {
  const { upload, files: described } = await createUpload(ports, ada, ref, draft, announced);
  return { upload: { ...ref, upload: upload.id }, version: upload.version, files: described };
};

/** Sends parts of a file over HTTP, as a client does. */
async function send(
  upload: { workspace: string; name: string; upload: string },
  path: string,
  bytes: Uint8Array,
  only?: number[],
) {
  const parts = await signParts(ports, ada, upload, { path, from: 1, count: 100 });
  let at = 0;
  for (const { number, size, url } of parts) {
    const body = Uint8Array.from(bytes.subarray(at, at + size));
    at += size;
    if (only && !only.includes(number)) continue;
    const answer = await fetch(url, { method: 'PUT', body });
    expect([number, answer.status]).toEqual([number, 200]);
  }
}

const MIB = 1024 * 1024;

describe('an upload', () => {
  test('is PENDING with its number, and READY when every byte is verified', async () => {
    const big = randomBytes(65 * MIB);
    const small = Buffer.from('hello');
    const { upload, version, files } = await begin({ 'big.bin': big, 'dir/small.txt': small });
    expect(files).toMatchObject([
      { path: 'big.bin', parts: 2, done: false, received: [] },
      { path: 'dir/small.txt', parts: 1, done: false, received: [] },
    ]);
    expect(await getVersion(ports, ada, { ...ref, number: version })).toMatchObject({
      number: 1,
      status: 'PENDING',
    });
    await send(upload, 'big.bin', big, [2]);
    await send(upload, 'dir/small.txt', small);
    expect((await getUpload(ports, ada, upload)).files.map(({ received }) => received)).toEqual([[2], [1]]);
    await expect(completeUpload(ports, ada, upload)).rejects.toMatchObject({
      code: 'UPLOAD_INCOMPLETE',
      detail: '"big.bin" lacks part 1.',
    });
    await send(upload, 'big.bin', big, [1]);
    const ready = await completeUpload(ports, ada, upload);
    expect(ready).toMatchObject({
      number: 1,
      status: 'READY',
      size: big.length + 5,
      commit: expect.stringMatching(/^[0-9a-f]{40}$/),
    });
    expect(await completeUpload(ports, ada, upload)).toEqual(ready);
    const { files: listed } = await listFiles(ports, ada, { ...ref, number: 1 });
    for (const file of listed)
      expect(await digest(ports.blobs, blobKey('default', model.id, file.sha256))).toBe(file.sha256);
    expect((await ports.blobs.list(`${modelPrefix('default', model.id)}staging/`)).objects).toEqual([]);
  });

  test('with other bytes than announced fails its version and leaves nothing', async () => {
    const bytes = Buffer.from('what was announced');
    const { upload } = await begin({ 'a.bin': bytes });
    await send(upload, 'a.bin', Buffer.from('what is sent insted'.slice(0, bytes.length)));
    await expect(completeUpload(ports, ada, upload)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(await getVersion(ports, ada, { ...ref, number: 1 })).toMatchObject({
      status: 'FAILED',
      failure: expect.stringContaining('a.bin'),
    });
    expect((await ports.blobs.list(modelPrefix('default', model.id))).objects).toEqual([]);
    await expect(completeUpload(ports, ada, upload)).rejects.toMatchObject({ code: 'UPLOAD_NOT_FOUND' });
  });

  test('need not send bytes that the model has', async () => {
    const bytes = Buffer.from('\u0000shared');
    const first = await begin({ 'a.bin': bytes });
    await send(first.upload, 'a.bin', bytes);
    await completeUpload(ports, ada, first.upload);
    const second = await begin({ 'renamed.bin': bytes });
    expect(second.files).toMatchObject([{ done: true }]);
    expect(await completeUpload(ports, ada, second.upload)).toMatchObject({ number: 2, status: 'READY' });
  });

  test('may be completed out of order: main follows the order of readiness', async () => {
    const first = await begin({ 'a.bin': Buffer.from('1') });
    const second = await begin({ 'a.bin': Buffer.from('2') });
    await send(second.upload, 'a.bin', Buffer.from('2'));
    await completeUpload(ports, ada, second.upload);
    await send(first.upload, 'a.bin', Buffer.from('1'));
    await completeUpload(ports, ada, first.upload);
    const { items } = await listVersions(ports, ada, ref, { limit: 10 });
    expect(items.map(({ number, status }) => [number, status])).toEqual([
      [2, 'READY'],
      [1, 'READY'],
    ]);
  });

  test('of many that complete it at once, all get the same version', async () => {
    const bytes = Buffer.from('x');
    const { upload } = await begin({ 'a.bin': bytes });
    await send(upload, 'a.bin', bytes);
    const made = await Promise.all(Array.from({ length: 8 }, () => completeUpload(ports, ada, upload)));
    expect(new Set(made.map(({ commit }) => commit)).size).toBe(1);
  });

  test('that turned READY just before it would be aborted is not said to be', async () => {
    const bytes = Buffer.from('x');
    const { upload } = await begin({ 'a.bin': bytes });
    await send(upload, 'a.bin', bytes);
    let completed: unknown;
    const table = {
      ...ports.table,
      get: async (key: Key) => {
        const found = await ports.table.get(key);
        if (key.sk.startsWith('upload#')) completed ??= await completeUpload(ports, ada, upload);
        return found;
      },
    };
    await expect(abortUpload({ ...ports, table }, ada, upload)).rejects.toMatchObject({
      code: 'UPLOAD_NOT_FOUND',
      detail: 'The upload is COMPLETED.',
    });
    expect(completed).toMatchObject({ status: 'READY' });
  });

  test('that is aborted while it is verified leaves nothing staged', async () => {
    for (let turns = 0; turns < 200; turns += 40) {
      const bytes = randomBytes(65 * MIB);
      const { upload } = await begin({ 'a.bin': bytes });
      await send(upload, 'a.bin', bytes);
      const complete = completeUpload(ports, ada, upload);
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      await Promise.allSettled([complete, abortUpload(ports, ada, upload)]);
      expect((await ports.blobs.list(stagingPrefix('default', model.id))).objects).toEqual([]);
    }
  });

  test('that has ended keeps nothing that is still sent to its signed URLs', async () => {
    const bytes = Buffer.from('late');
    const { upload } = await begin({ 'a.bin': bytes });
    const [part] = await signParts(ports, ada, upload, { path: 'a.bin', from: 1, count: 1 });
    await abortUpload(ports, ada, upload);
    await fetch(part?.url ?? '', { method: 'PUT', body: bytes });
    ports.clock.advance(Date.now() - ports.clock.now() + 25 * 3600 * 1000);
    expect(await reclaim(ports, model)).toEqual({ objects: 1, bytes: 4 });
  });

  test('takes nothing that was sent to its signed URL after it was verified', async () => {
    const bytes = Buffer.from('right');
    const { upload } = await begin({ 'a.bin': bytes });
    await send(upload, 'a.bin', bytes);
    const swapping = {
      ...ports,
      blobs: {
        ...ports.blobs,
        copy: async (...[from, to, options]: Parameters<typeof ports.blobs.copy>) => {
          await send(upload, 'a.bin', Buffer.from('wrong'));
          return ports.blobs.copy(from, to, options);
        },
      },
    };
    await expect(completeUpload(swapping, ada, upload)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(await ports.blobs.stat(blobKey('default', model.id, sha256(bytes)))).toBeUndefined();
    await send(upload, 'a.bin', bytes);
    expect(await completeUpload(ports, ada, upload)).toMatchObject({ status: 'READY' });
  });

  test('that is aborted or expires leaves a FAILED version that keeps its number', async () => {
    const bytes = randomBytes(70 * MIB);
    const aborted = await begin({ 'a.bin': bytes });
    await send(aborted.upload, 'a.bin', bytes, [1]);
    await abortUpload(ports, ada, aborted.upload);
    await begin({ 'b.bin': Buffer.from('b') });
    ports.clock.advance(8 * 24 * 3600 * 1000);
    expect(await expireUploads(ports, ada, model)).toBe(1);
    const { items } = await listVersions(ports, ada, ref, { limit: 10 });
    expect(items.map(({ number, status }) => [number, status])).toEqual([
      [2, 'FAILED'],
      [1, 'FAILED'],
    ]);
    expect((await ports.blobs.list(modelPrefix('default', model.id))).objects).toEqual([]);
  });

  test('of very many files keeps its plan out of the table', async () => {
    const files = Array.from({ length: 5000 }, (_, n) => ({
      path: `f/${n}`,
      size: 1,
      sha256: sha256(Buffer.from('a')),
    }));
    const { upload } = await createUpload(ports, ada, ref, draft, files);
    const of = { ...ref, upload: upload.id };
    expect((await getUpload(ports, ada, of)).files).toHaveLength(5000);
    await abortUpload(ports, ada, of);
  });
});

test('an upload can be verified in many short runs, each going on where the last one stopped', async () => {
  const big = randomBytes(65 * MIB);
  const { upload } = await begin({ 'big.bin': big, 'small.txt': Buffer.from('s') });
  await send(upload, 'big.bin', big);
  await send(upload, 'small.txt', Buffer.from('s'));
  expect(await requestCompletion(ports, ada, upload)).toMatchObject({ status: 'PENDING' });
  // As on S3, where a whole object's SHA-256 is not known.
  const { stat, completeMultipart } = ports.blobs;
  const unknown = <T extends object | undefined>(found: T) => found && { ...found, sha256: undefined };
  let reads = 0;
  const blobs: typeof ports.blobs = {
    ...ports.blobs,
    stat: async (key) => unknown(await stat(key)),
    completeMultipart: async (...args) => unknown(await completeMultipart(...args)),
  };
  const clock = { now: () => ports.clock.now() + reads++ };
  let runs = 1;
  for (;;) {
    const { version } = await verifyUpload({ ...ports, blobs, clock }, ada, upload, {
      deadline: clock.now() + 30,
    });
    if (version) break;
    runs++;
  }
  expect(runs).toBeGreaterThan(3);
  expect(await getVersion(ports, ada, { ...ref, number: 1 })).toMatchObject({ status: 'READY' });
});

describe('an arrival', () => {
  const arrival = (id: string, content = 'x') => ({
    ...ref,
    name: 'arrived',
    id,
    message: 'arrived',
    files: [
      {
        path: 'a.txt',
        open: async function* () {
          yield Buffer.from(content);
        },
      },
    ],
  });

  test('becomes a version exactly once, however often and however concurrently it is told', async () => {
    const told = await Promise.all(
      Array.from({ length: 8 }, () => registerArrival(ports, ada, arrival('one'))),
    );
    expect(new Set(told.map(({ number }) => number))).toEqual(new Set([1]));
    expect((await registerArrival(ports, ada, arrival('one', 'changed'))).number).toBe(1);
    expect((await registerArrival(ports, ada, arrival('two'))).number).toBe(2);
  });

  test('that cannot be a version makes none', async () => {
    const bad = {
      ...arrival('bad', 'not onnx'),
      files: [
        {
          path: 'm.onnx',
          open: async function* () {
            yield Buffer.from('no');
          },
        },
      ],
    };
    await expect(registerArrival(ports, ada, bad)).rejects.toMatchObject({ code: 'MODEL_FILE_INVALID' });
    // Nor a model, nor anything in the store.
    expect((await listModels(ports, ada, { workspace: 'default', limit: 10 })).items).toMatchObject([ref]);
    expect((await ports.blobs.list('workspaces/')).objects).toEqual([]);
    expect((await registerArrival(ports, ada, arrival('good'))).number).toBe(1);
  });

  test('that broke off and never came again leaves bytes for a day', async () => {
    await ports.blobs.put(arrivalStagingKey('default', 'lost', 0), Buffer.from('lost'));
    ports.clock.advance(Date.now() - ports.clock.now());
    expect(await cleanUp(ports, { onError })).toEqual({ bytes: 0, failed: 0 });
    ports.clock.advance(25 * 3600 * 1000);
    expect(await cleanUp(ports, { onError })).toEqual({ bytes: 4, failed: 0 });
  });
});

test('a clean-up goes on past a model that is deleted meanwhile, at any moment', async () => {
  const other = await createModel(ports, ada, { ...ref, name: 'later', description: '', tags: {} });
  const name = 'deleted';
  for (let at = 0, calls = 1; at <= calls; at++) {
    await createModel(ports, ada, { ...ref, name, description: '', tags: {} });
    const garbage = blobKey('default', other.id, sha256(Buffer.from(name)));
    await ports.blobs.put(garbage, Buffer.from(name));
    ports.clock.advance(Date.now() - ports.clock.now() + 25 * 3600 * 1000);
    let deleting: Promise<void> | undefined;
    const watched = interrupted(ports, at, () => {
      deleting = deleteModel(ports, ada, { ...ref, name });
      // The clean-up may hold the model's queue: then it goes on first.
      return Promise.race([deleting, pause(10)]);
    });
    expect((await cleanUp(watched.ports, { onError })).bytes, `call ${at}`).toBe(name.length);
    calls = Math.max(calls, watched.calls());
    await (deleting ?? deleteModel(ports, ada, { ...ref, name }));
  }
});
