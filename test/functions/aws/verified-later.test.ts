import { createHash, randomBytes } from 'node:crypto';
import type { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiEnv } from '../../../functions/api/bind.ts';
import { apiOf } from '../../../functions/aws/api.ts';
import type { AwsPorts } from '../../../functions/aws/ports.ts';
import { reconciler } from '../../../functions/aws/reconcile.ts';
import { parseSettings } from '../../../functions/aws/settings.ts';
import { verifyUploads } from '../../../functions/aws/verify-upload.ts';
import { ensureAdminToken } from '../../../shared/access/token.ts';
import type { BlobStat, BlobStore } from '../../../shared/ports/blob-store.ts';
import { asRole, type FunctionPorts, invocation, openFunctionPorts, queueEvent } from './aws-fixture.ts';
import { ENV } from './environment.ts';

/** What is too much for a request is verified after it, by the function that verifies uploads. */

const TOKEN = 'a-token-for-the-tests';
const MIB = 1024 * 1024;
const LARGE = 65 * MIB;
const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

let local: FunctionPorts;
let ports: FunctionPorts;
let app: Hono<ApiEnv>;
/** Where reads began that were more than a look at the beginning. */
let reads: number[];
/** Milliseconds that a piece of an object takes. */
let slow = 0;
beforeEach(async () => {
  local = await openFunctionPorts();
  reads = [];
  slow = 0;
  ports = { ...local, blobs: likeS3(local.blobs) };
  await ensureAdminToken(ports, TOKEN);
  app = apiOf(parseSettings(ENV), ports, ports.logger);
});
afterEach(() => local.close());

/** S3 knows no SHA-256 of what came in parts or by a signed URL. */
function likeS3(blobs: BlobStore): BlobStore {
  return {
    ...blobs,
    stat: async (key) => withoutSha256(await blobs.stat(key)),
    completeMultipart: async (...of) => withoutSha256(await blobs.completeMultipart(...of)),
    async get(key, range) {
      if (range?.end === undefined) reads.push(range?.start ?? 0);
      return slowly(await blobs.get(key, range));
    },
  };
}

function withoutSha256<Stat extends BlobStat | undefined>(stat: Stat): Stat {
  if (stat === undefined) return stat;
  const { sha256: _, ...rest } = stat;
  return rest as Stat;
}

async function* slowly(bytes: AsyncIterable<Uint8Array>) {
  for await (const piece of bytes) {
    local.clock.advance(slow);
    yield piece;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
async function ask(method: string, path: string, body?: object): Promise<{ status: number; json: any }> {
  const answer = await app.request(path, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, json: text === '' ? undefined : JSON.parse(text) };
}
const mlflow = (path: string, body: object) => ask('POST', `/api/2.0/mlflow/${path}`, body);
const artifacts = (path: string, body: object) => ask('POST', `/api/2.0/mlflow-artifacts/${path}`, body);

const put = async (url: string, bytes: Uint8Array) => {
  const answer = await fetch(url, { method: 'PUT', body: Uint8Array.from(bytes) });
  expect(answer.status).toBe(200);
  return answer.headers.get('etag') ?? '';
};

/** Delivers what was sent to the queue, and what is sent meanwhile, until nothing is. @returns how many messages */
async function deliver(to: AwsPorts & FunctionPorts = ports, remaining?: number): Promise<number> {
  let messages = 0;
  for (let next = local.sent.shift(); next; next = local.sent.shift()) {
    messages++;
    expect(
      await verifyUploads(asRole('verify-upload', to))(queueEvent(next.work), invocation(remaining)),
    ).toEqual({
      batchItemFailures: [],
    });
  }
  return messages;
}

describe('a version of a run’s large artifact', () => {
  let run: string;
  let root: string;
  beforeEach(async () => {
    const created = await mlflow('runs/create', { experiment_id: '0', start_time: 1 });
    run = created.json.run.info.run_id;
    root = `0/${run}/artifacts`;
    await mlflow('registered-models/create', { name: 'm' });
  });

  async function log(name: string, bytes: Uint8Array): Promise<void> {
    const { json } = await artifacts(`mpu/create/${root}/model`, { path: `/tmp/${name}`, num_parts: 2 });
    const half = Math.ceil(bytes.length / 2);
    const parts = [];
    for (const { url, part_number } of json.credentials) {
      const part = bytes.subarray(half * (part_number - 1), half * part_number);
      parts.push({ part_number, etag: await put(url, part), url });
    }
    const done = await artifacts(`mpu/complete/${root}/model`, { upload_id: json.upload_id, parts });
    expect(done.status).toBe(200);
  }
  const register = () =>
    mlflow('model-versions/create', { name: 'm', source: `runs:/${run}/model`, run_id: run });
  const version = async (number = 1) =>
    (await ask('GET', `/api/2.0/mlflow/model-versions/get?name=m&version=${number}`)).json.model_version;

  test('is PENDING_REGISTRATION until its bytes are hashed, once for however many messages', async () => {
    const bytes = randomBytes(LARGE);
    await log('weights.bin', bytes);
    await log('small.txt', Buffer.from('small'));
    reads = [];
    const made = await register();
    expect(made).toMatchObject({
      status: 200,
      json: { model_version: { version: '1', status: 'PENDING_REGISTRATION', run_id: run } },
    });
    expect(reads).toEqual([]);
    expect(local.sent).toHaveLength(1);
    local.sent.push(...local.sent);
    // What is said of it meanwhile is not lost.
    await mlflow('model-versions/set-tag', { name: 'm', version: '1', key: 'k', value: 'v' });
    expect(await deliver()).toBe(2);
    expect(await version()).toMatchObject({ status: 'READY', tags: [{ key: 'k', value: 'v' }] });
    const { json } = await ask('GET', '/api/v1/workspaces/default/models/m/versions/1/files');
    expect(json.items).toMatchObject([
      { path: 'small.txt', sha256: sha256Of(Buffer.from('small')) },
      { path: 'weights.bin', size: LARGE, sha256: sha256Of(bytes) },
    ]);
    expect(local.events.filter(({ type }) => type === 'version.created')).toHaveLength(1);
  });

  test('is hashed over several runs, and what one has found no other looks for again', async () => {
    await log('a.bin', randomBytes(LARGE));
    await log('b.bin', randomBytes(LARGE));
    await register();
    slow = 1000;
    reads = [];
    expect(await deliver(ports, 120_000)).toBeGreaterThan(3);
    expect(await version()).toMatchObject({ status: 'READY' });
    // Each file from its beginning once, and then from where the run before stopped.
    expect(reads.filter((start) => start === 0)).toHaveLength(2);
    expect(reads.filter((start) => start > 0).length).toBeGreaterThan(2);
  });

  test('goes on after a run that was killed anywhere', async () => {
    await log('weights.bin', randomBytes(LARGE));
    await register();
    const [order] = local.sent.splice(0);
    for (const method of ['copy', 'get'] as const) {
      const killed = () => Promise.reject(new Error('killed'));
      const broken = { ...ports, blobs: { ...ports.blobs, [method]: killed } };
      const failed = await verifyUploads(broken)(queueEvent(order?.work), invocation());
      expect(failed.batchItemFailures).toHaveLength(1);
    }
    for (let after = 0; ; after++) {
      let left = after;
      const table = {
        ...ports.table,
        transact: (...of: Parameters<typeof ports.table.transact>) =>
          left-- === 0 ? Promise.reject(new Error('killed')) : ports.table.transact(...of),
      };
      const { batchItemFailures } = await verifyUploads({ ...ports, table })(
        queueEvent(order?.work),
        invocation(),
      );
      if (batchItemFailures.length === 0) break;
    }
    expect(await version()).toMatchObject({ status: 'READY' });
  });

  test('is FAILED_REGISTRATION with the reason when the artifact goes before it was verified', async () => {
    await log('weights.bin', randomBytes(LARGE));
    await register();
    await ask('DELETE', `/api/2.0/mlflow-artifacts/artifacts/${root}/model/weights.bin`);
    await deliver();
    expect(await version()).toMatchObject({
      status: 'FAILED_REGISTRATION',
      status_message: expect.stringContaining('"weights.bin" was removed or replaced'),
    });
  });

  test('is FAILED_REGISTRATION when a file is not what its name says', async () => {
    await log('model.onnx', randomBytes(LARGE));
    await register();
    await deliver();
    expect(await version()).toMatchObject({ status: 'FAILED_REGISTRATION' });
  });

  test('whose order was lost is ordered again', async () => {
    await log('weights.bin', randomBytes(LARGE));
    await register();
    local.sent.length = 0;
    const cleanUp = () =>
      reconciler({ ...asRole('reconcile', ports), serving: undefined })(
        queueEvent({ task: 'clean-up' }),
        invocation(),
      );
    await cleanUp();
    expect(local.sent).toEqual([]);
    local.clock.advance(31 * 60_000);
    await cleanUp();
    await deliver();
    expect(await version()).toMatchObject({ status: 'READY' });
  });

  test('is READY at once where there is little to hash', async () => {
    await log('weights.bin', randomBytes(MIB));
    expect((await register()).json.model_version).toMatchObject({ status: 'READY' });
    expect(local.sent).toEqual([]);
  });
});

describe('a large object of Git LFS', () => {
  const lfs = (path: string, body: object) => ask('POST', `/default/m.git/info/lfs/${path}`, body);
  beforeEach(() => ask('POST', '/api/v1/workspaces/default/models', { name: 'm' }));

  const batch = async (oid: string, size: number, operation = 'upload') =>
    (await lfs('objects/batch', { operation, objects: [{ oid, size }] })).json.objects[0];
  async function send(oid: string, bytes: Uint8Array): Promise<number> {
    const { actions } = await batch(oid, bytes.length);
    await put(actions.upload.href, bytes);
    const { search } = new URL(actions.verify.href);
    return (await lfs(`verify${search}`, { oid, size: bytes.length })).status;
  }
  const staged = async () => (await ports.blobs.list('workspaces/')).objects.map(({ key }) => key);

  test('is taken at once and hashed afterwards, and need not be sent again meanwhile', async () => {
    const bytes = randomBytes(LARGE);
    const oid = sha256Of(bytes);
    reads = [];
    expect(await send(oid, bytes)).toBe(200);
    expect(reads).toEqual([]);
    expect(await batch(oid, LARGE)).not.toHaveProperty('actions');
    expect((await batch(oid, LARGE, 'download')).error.message).toContain('still being verified');
    slow = 1000;
    expect(await deliver(ports, 120_000)).toBeGreaterThan(1);
    expect(reads.filter((start) => start === 0)).toHaveLength(1);
    expect(await batch(oid, LARGE, 'download')).toHaveProperty('actions.download');
    expect((await staged()).filter((key) => key.includes('staging'))).toEqual([]);
  });

  test('whose order was lost is ordered again by the next push', async () => {
    const bytes = randomBytes(LARGE);
    const oid = sha256Of(bytes);
    await send(oid, bytes);
    local.sent.length = 0;
    await batch(oid, LARGE);
    expect(local.sent).toEqual([]);
    local.clock.advance(31 * 60_000);
    await batch(oid, LARGE);
    await deliver();
    expect(await batch(oid, LARGE, 'download')).toHaveProperty('actions.download');
  });

  test('that is not what its name says is removed, and may be sent again', async () => {
    const bytes = randomBytes(LARGE);
    const oid = sha256Of(bytes);
    expect(await send(oid, randomBytes(LARGE))).toBe(200);
    local.sent.push(...local.sent);
    await deliver();
    expect(await staged()).toEqual([]);
    expect((await batch(oid, LARGE, 'download')).error.code).toBe(404);
    expect(await send(oid, bytes)).toBe(200);
    await deliver();
    expect(await batch(oid, LARGE, 'download')).toHaveProperty('actions.download');
  });

  test('goes on after a run that was killed anywhere', async () => {
    const bytes = randomBytes(LARGE);
    const oid = sha256Of(bytes);
    await send(oid, bytes);
    const [order] = local.sent.splice(0);
    for (const method of ['get', 'copy', 'delete'] as const) {
      const broken = { ...ports.blobs, [method]: () => Promise.reject(new Error('killed')) };
      const failed = await verifyUploads({ ...ports, blobs: broken })(queueEvent(order?.work), invocation());
      expect(failed.batchItemFailures).toHaveLength(1);
    }
    local.sent.push(order as never);
    await deliver();
    expect(await batch(oid, LARGE, 'download')).toHaveProperty('actions.download');
  });

  test('that is small is verified at once', async () => {
    const bytes = randomBytes(1000);
    expect(await send(sha256Of(bytes), bytes)).toBe(200);
    expect(local.sent).toEqual([]);
    expect(await send(sha256Of(randomBytes(8)), bytes)).toBe(422);
  });
});
