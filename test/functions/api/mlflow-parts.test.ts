import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemCaller } from '../../../shared/access/caller.ts';
import { ConditionFailed } from '../../../shared/ports/table.ts';
import { type ArtifactOwner, getArtifact } from '../../../shared/tracking/artifact.ts';
import {
  completeArtifactUpload,
  createArtifactUpload,
  expireArtifactUploads,
} from '../../../shared/tracking/artifact-upload.ts';
import { artifactUploadKey } from '../../../shared/tracking/keys.ts';
import { interrupted } from '../../support/interrupted-ports.ts';
import { type MlflowApi, openMlflow } from './mlflow-fixture.ts';

/** Artifacts in parts, as MLflow's client sends them: it tells how many there are, and not how long. */

let api: MlflowApi;
beforeAll(async () => {
  api = await openMlflow();
});
afterAll(() => api.close());

const HOUR = 3600_000;

interface Credential {
  readonly url: string;
  readonly part_number: number;
}

async function begin(num_parts: number, root?: string) {
  const folder = `${root ?? (await api.run()).root}/parts`;
  const created = await api.post(`mlflow-artifacts/mpu/create/${folder}`, {
    path: '/home/ann/big.bin',
    num_parts,
  });
  const { upload_id, credentials = [] } = created.json as {
    upload_id: string;
    credentials?: Credential[];
  };
  /** Without a token. */
  const send = async (number: number, bytes: Uint8Array) => {
    const answer = await fetch(credentials[number - 1]?.url ?? '', {
      method: 'PUT',
      body: Uint8Array.from(bytes),
    });
    return { part_number: number, etag: answer.headers.get('etag') ?? '', url: credentials[number - 1]?.url };
  };
  const complete = (parts?: object[]) =>
    api.post(`mlflow-artifacts/mpu/complete/${folder}`, { path: 'big.bin', upload_id, parts });
  const abort = () => api.post(`mlflow-artifacts/mpu/abort/${folder}`, { path: 'big.bin', upload_id });
  const download = async () => {
    const answer = await api.fetch(`http://localhost/api/2.0/mlflow-artifacts/artifacts/${folder}/big.bin`);
    return Buffer.from(await answer.arrayBuffer());
  };
  return { created, folder, credentials, send, complete, abort, download };
}

const stored = async () => (await api.ports.blobs.list('workspaces/default/runs/')).objects.length;

test('go straight to the store and become one file, under the name that the local file has', async () => {
  const { credentials, send, complete, download } = await begin(3);
  const bytes = randomBytes(2500);
  expect(credentials.map(({ part_number }) => part_number)).toEqual([1, 2, 3]);
  expect(credentials.every(({ url }) => new URL(url).pathname.startsWith('/storage/'))).toBe(true);
  const parts = [
    await send(3, bytes.subarray(2000)),
    await send(1, bytes.subarray(0, 1000)),
    await send(2, bytes.subarray(1000, 2000)),
  ];
  expect(await complete(parts)).toEqual({ status: 200, json: {} });
  expect((await download()).equals(bytes)).toBe(true);
});

test('completed again change nothing, and aborting them afterwards neither', async () => {
  const { send, complete, abort, download } = await begin(1);
  const parts = [await send(1, Buffer.from('whole'))];
  expect((await complete(parts)).status).toBe(200);
  expect((await complete(parts)).status).toBe(200);
  expect((await abort()).status).toBe(200);
  expect((await download()).toString()).toBe('whole');
});

test('completed once more at any moment of completing them are there', async () => {
  const admin = systemCaller('test', 'test');
  const { run } = await api.run();
  const owner: ArtifactOwner = { kind: 'run', id: run, workspace: 'default' };
  for (let at = 0, calls = 1; at <= calls; at++) {
    const path = `${at}.bin`;
    const { id, urls } = await createArtifactUpload(api.ports, admin, owner, path, 1);
    await fetch(urls[0] ?? '', { method: 'PUT', body: 'whole' });
    const again = () => completeArtifactUpload(api.ports, admin, id);
    const watched = interrupted(api.ports, at, () => Promise.race([again(), pause(50)]));
    await completeArtifactUpload(watched.ports, admin, id);
    calls = Math.max(calls, watched.calls());
    const { key } = await getArtifact(api.ports, admin, owner, path);
    expect(await api.ports.blobs.stat(key), `call ${at}`).toMatchObject({ size: 5 });
  }
});

test('are not complete while one is missing, or is not the one that was sent', async () => {
  const { send, complete, download } = await begin(2);
  const first = await send(1, Buffer.from('first'));
  const missing = await complete([first]);
  expect(missing).toMatchObject({ status: 409, json: { message: expect.stringContaining('part 2') } });
  const second = await send(2, Buffer.from('2'));
  expect((await complete([first, { ...second, etag: '"another"' }])).status).toBe(409);
  expect((await complete([first, second])).status).toBe(200);
  expect((await download()).toString()).toBe('first2');
});

test('stay when one that is not as long as the others is sent in their place', async () => {
  const { credentials, send, complete, download } = await begin(3);
  const parts = [
    await send(1, Buffer.from('first')),
    await send(2, Buffer.from('other')),
    await send(3, Buffer.from('3')),
  ];
  const refused = await fetch(credentials[0]?.url ?? '', { method: 'PUT', body: 'longer' });
  expect(refused.status).toBe(422);
  expect((await complete(parts)).status).toBe(200);
  expect((await download()).toString()).toBe('firstother3');
});

test('take the place of the file that was there', async () => {
  const { root } = await api.run();
  const before = await stored();
  await api.put(`${root}/parts/big.bin`, Buffer.from('old'));
  const { send, complete, download } = await begin(1, root);
  await send(1, Buffer.from('new'));
  expect((await download()).toString()).toBe('old');
  expect((await complete()).status).toBe(200);
  expect((await download()).toString()).toBe('new');
  expect(await stored()).toBe(before + 1);
});

test('that were aborted, or that nobody completed in time, leave nothing', async () => {
  const before = await stored();
  const aborted = await begin(2);
  await aborted.send(1, Buffer.from('a'));
  expect((await aborted.abort()).status).toBe(200);
  expect((await aborted.abort()).status).toBe(200);
  expect((await aborted.complete()).status).toBe(404);
  const done = await begin(1);
  await done.send(1, Buffer.from('done'));
  await done.complete();
  const late = await begin(1);
  await late.send(1, Buffer.from('late'));
  api.ports.clock.advance(25 * HOUR);
  await expireArtifactUploads(api.ports);
  expect((await late.complete()).status).toBe(404);
  expect(await stored()).toBe(before + 1);
  expect((await done.download()).toString()).toBe('done');
});

test('an attempt to complete them that was interrupted before it could tell goes on', async () => {
  const { send, complete, download } = await begin(1);
  await send(1, Buffer.from('whole'));
  const { transact } = api.ports.table;
  const broken = Object.assign(api.ports.table, {
    transact: () => Promise.reject(new Error('the process was killed')),
  });
  expect((await complete()).status).toBe(500);
  Object.assign(broken, { transact });
  expect((await complete()).status).toBe(200);
  expect((await download()).toString()).toBe('whole');
});

test('completed twice at the same time are completed once, and stay', async () => {
  const { send, complete, download } = await begin(2);
  const bytes = randomBytes(3_000_000);
  const parts = [await send(1, bytes.subarray(0, 2_000_000)), await send(2, bytes.subarray(2_000_000))];
  const answers = await Promise.all([complete(parts), complete(parts), complete(parts)]);
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
  expect((await download()).equals(bytes)).toBe(true);
});

test('completed by a second request before the first one could record it stay', async () => {
  const { send, complete, download } = await begin(1);
  await send(1, Buffer.from('whole'));
  const { blobs } = api.ports;
  const { completeMultipart } = blobs;
  // The store has answered, and the request waits.
  const wait = Promise.withResolvers<void>();
  const done = Promise.withResolvers<void>();
  blobs.completeMultipart = async (...parameters) => {
    const stat = await completeMultipart(...parameters);
    done.resolve();
    await wait.promise;
    return stat;
  };
  const first = complete();
  await done.promise;
  blobs.completeMultipart = completeMultipart;
  expect((await complete()).status).toBe(200);
  wait.resolve();
  expect((await first).status).toBe(200);
  expect((await download()).toString()).toBe('whole');
});

test('are complete too when another process was quicker', async () => {
  const { send, complete, download } = await begin(1);
  await send(1, Buffer.from('whole'));
  const { table } = api.ports;
  const { transact } = table;
  Object.assign(table, {
    transact: async (ops: Parameters<typeof transact>[0]) => {
      Object.assign(table, { transact });
      await transact(ops);
      throw new ConditionFailed([0]);
    },
  });
  expect((await complete()).status).toBe(200);
  expect((await download()).toString()).toBe('whole');
});

test('aborted while they are put together leave nothing', async () => {
  const before = await stored();
  const { send, complete, abort } = await begin(1);
  await send(1, randomBytes(3_000_000));
  const [completed, aborted] = await Promise.all([complete(), abort()]);
  expect(aborted.status).toBe(200);
  // Whichever came first.
  expect(await stored()).toBe(before + (completed.status === 200 ? 1 : 0));
});

test('are refused at the beginning for a path that is a folder, and a whole file leaves nothing there', async () => {
  const { root } = await api.run();
  await api.put(`${root}/parts/big.bin/inside`, Buffer.from('x'));
  const before = await stored();
  const refused = { status: 400, json: { message: expect.stringContaining('is a folder') } };
  expect((await begin(1, root)).created).toMatchObject(refused);
  await expect(api.put(`${root}/parts/big.bin`, Buffer.from('y'))).rejects.toThrow('is a folder');
  // The folder appears while the bytes come.
  const { blobs } = api.ports;
  const { put } = blobs;
  blobs.put = async (...parameters) => {
    blobs.put = put;
    await api.put(`${root}/late/inside`, Buffer.from('x'));
    return put(...parameters);
  };
  await expect(api.put(`${root}/late`, Buffer.from('y'))).rejects.toThrow('is a folder');
  expect(await stored()).toBe(before + 1);
});

test('are at most as large as their address is signed for', async () => {
  const { credentials } = await begin(1);
  const url = new URL(credentials[0]?.url ?? '');
  expect(url.searchParams.get('max')).toBe(String(5 * 1024 ** 3));
  url.searchParams.set('max', String(6 * 1024 ** 3));
  expect((await fetch(url, { method: 'PUT', body: 'x' })).status).toBe(403);
});

test.each([0, 10_001])('%d parts are refused', async (parts) => {
  expect((await begin(parts)).created).toMatchObject({
    status: 400,
    json: { error_code: 'INVALID_PARAMETER_VALUE' },
  });
});

test('that were begun with objects of their own for the parts go with those', async () => {
  const admin = systemCaller('test', 'test');
  const { run } = await api.run();
  const owner: ArtifactOwner = { kind: 'run', id: run, workspace: 'default' };
  const id = 'first-layout';
  const expiresAt = api.ports.clock.now() - 1;
  const body = { format: 1, id, owner, path: 'a.bin', parts: 2, expiresAt };
  await api.ports.table.transact([{ put: { ...artifactUploadKey(id), body }, if: 'absent' }]);
  const before = await stored();
  await api.ports.blobs.put(`workspaces/default/runs/${run}/uploads/${id}/1`, Buffer.from('a'));
  await expect(completeArtifactUpload(api.ports, admin, id)).rejects.toMatchObject({
    code: 'UPLOAD_NOT_FOUND',
  });
  await expireArtifactUploads(api.ports);
  expect(await stored()).toBe(before);
  expect(await api.ports.table.get(artifactUploadKey(id))).toBeUndefined();
});
