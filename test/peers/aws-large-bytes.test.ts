import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { getRequestListener } from '@hono/node-server';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { apiOf } from '../../functions/aws/api.ts';
import type { AwsPorts } from '../../functions/aws/ports.ts';
import { parseSettings } from '../../functions/aws/settings.ts';
import { verifyUploads } from '../../functions/aws/verify-upload.ts';
import type { VerifyWork } from '../../functions/aws/work-messages.ts';
import { ensureAdminToken } from '../../shared/access/token.ts';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { openInProcessBus } from '../../shared/adapters/local/in-process-bus.ts';
import { openKeyFile } from '../../shared/adapters/local/key-file.ts';
import { systemClock } from '../../shared/adapters/local/system-clock.ts';
import { ensureDefaultWorkspace } from '../../shared/registry/workspace.ts';
import { invocation, queueEvent } from '../functions/aws/aws-fixture.ts';
import { ENV } from '../functions/aws/environment.ts';
import { startDynamoTable } from './aws-dynamodb-local.ts';
import { startVersitygw, type Versitygw } from './aws-versitygw.ts';
import { runGit } from './git.ts';
import { NEWEST, OLDER, requirements } from './mlflow-requirements.ts';
import { pythonEnv, runPython } from './python.ts';

/**
 * Real clients with more bytes than a function may hash in a request, against the API as it is composed on AWS, on S3
 * (versitygw) and DynamoDB Local; the queue is this process.
 */

const TOKEN = 'a-token-for-the-tests';
const LARGE = 70_000_000;
/** Milliseconds that the function may run: so little that it needs several runs. */
const RUN = 1000;

let dir: string;
let url: string;
let s3: Versitygw;
let dynamo: Awaited<ReturnType<typeof startDynamoTable>>;
let server: Server;
let ports: AwsPorts;
const waiting: VerifyWork[] = [];
let held = false;
let runs = 0;
/** Addresses that were asked for to send an object to. */
let asked = 0;
let working: Promise<void> | undefined;
const logger = pino({ level: 'silent' });

beforeAll(async () => {
  process.env.MLFLOW_TRACKING_TOKEN = TOKEN;
  dir = await mkdtemp(join(tmpdir(), 'cairn-large-'));
  s3 = await startVersitygw();
  dynamo = await startDynamoTable();
  const s3Blobs = openS3BlobStore(s3);
  ports = {
    table: dynamo.table,
    blobs: {
      ...s3Blobs,
      presignPut: (...of) => {
        asked++;
        return s3Blobs.presignPut(...of);
      },
    },
    clock: systemClock,
    keys: await openKeyFile(join(dir, 'keys.json')),
    bus: openInProcessBus((error) => {
      throw error;
    }),
    verifyQueue: {
      async send(work) {
        waiting.push(work);
        deliver();
      },
    },
    reconcileQueue: { send: async () => undefined },
    webhookQueue: { send: async () => undefined },
  };
  await ensureDefaultWorkspace(ports);
  await ensureAdminToken(ports, TOKEN);
  server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const app = apiOf(parseSettings({ ...ENV, CAIRN_PUBLIC_URL: url }), ports, logger);
  server.on('request', getRequestListener(app.fetch));
});

afterAll(async () => {
  await working;
  server.closeAllConnections();
  server.close();
  await dynamo.close();
  await s3.close();
  await rm(dir, { recursive: true, force: true });
});

/** Gives the function one message after the other, unless they are held back. */
function deliver(): void {
  const next = () => (held ? undefined : waiting.shift());
  working ??= (async () => {
    for (let work = next(); work; work = next()) {
      runs++;
      const { batchItemFailures } = await verifyUploads({ ...ports, logger })(
        queueEvent(work),
        invocation(RUN),
      );
      if (batchItemFailures.length > 0) waiting.push(work);
    }
  })().finally(() => {
    working = undefined;
    if (!held && waiting.length > 0) deliver();
  });
}

const ask = async (method: string, path: string, body?: object) => {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: answers of every shape
  return { status: answer.status, json: (await answer.json()) as any };
};

const git = (where: string, ...args: string[]) => runGit(dir, join(dir, where), args);
async function succeed(where: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await git(where, ...args);
  if (status !== 0) throw new Error(`git ${args.join(' ')} failed:\n${stderr}${stdout}`);
  return stderr;
}

const remote = (model: string) => `${url.replace('://', `://git:${TOKEN}@`)}/default/${model}.git`;
const version = async (model: string) =>
  (await ask('GET', `/api/v1/workspaces/default/models/${model}/versions/1`)).json;

/** A repository with one large file in LFS, committed and not pushed. */
async function cloneWith(model: string, bytes: Uint8Array): Promise<string> {
  await ask('POST', '/api/v1/workspaces/default/models', { name: model });
  await succeed('.', 'lfs', 'install');
  await succeed('.', 'clone', '-q', remote(model), model);
  await succeed(model, 'lfs', 'track', '*.bin');
  await mkdir(join(dir, model, 'data'));
  await writeFile(join(dir, model, 'data/large.bin'), bytes);
  await succeed(model, 'add', '-A');
  await succeed(model, 'commit', '-q', '-m', 'Large');
  return model;
}

test('git push waits shortly for what LFS has sent just now, and makes the version', async () => {
  const bytes = randomBytes(LARGE);
  const clone = await cloneWith('waits', bytes);
  runs = 0;
  const told = await succeed(clone, 'push', 'origin', 'HEAD:main');
  expect(told).toContain('waits@1 is READY');
  expect(runs).toBeGreaterThan(0);
  await succeed('.', 'clone', '-q', remote('waits'), 'waits-again');
  expect((await readFile(join(dir, 'waits-again/data/large.bin'))).equals(bytes)).toBe(true);
});

test('git push of what cannot be verified in time is refused; pushed again it succeeds, and nothing is sent twice', async () => {
  const clone = await cloneWith('late', randomBytes(LARGE));
  held = true;
  const refused = await git(clone, 'push', 'origin', 'HEAD:main');
  expect([refused.status, refused.stderr]).toEqual([
    1,
    expect.stringContaining('the bytes of data/large.bin are still being verified: push again in a minute'),
  ]);
  expect(refused.stderr).toContain('remote: Verifying the bytes of data/large.bin ...');
  expect(await version('late')).toMatchObject({ code: 'VERSION_NOT_FOUND' });
  asked = 0;
  held = false;
  deliver();
  await succeed(clone, 'push', 'origin', 'HEAD:main');
  expect(await version('late')).toMatchObject({ status: 'READY', fileCount: 1 });
  const staged = (await ports.blobs.list('workspaces/')).objects.filter(({ key }) =>
    key.includes('/staging/'),
  );
  expect([staged, asked]).toEqual([[], 0]);
});

test('git push of an object that is not what its pointer says is refused, naming the file, and the right bytes are taken afterwards', async () => {
  const bytes = randomBytes(LARGE);
  const clone = await cloneWith('wrong', bytes);
  const oid = createHash('sha256').update(bytes).digest('hex');
  const objects = [{ oid, size: LARGE }];
  const batch = await ask('POST', '/default/wrong.git/info/lfs/objects/batch', {
    operation: 'upload',
    objects,
  });
  const { upload, verify } = batch.json.objects[0].actions;
  await fetch(upload.href, { method: 'PUT', body: randomBytes(LARGE) });
  const verified = await fetch(verify.href, {
    method: 'POST',
    headers: { ...verify.header, 'content-type': 'application/vnd.git-lfs+json' },
    body: JSON.stringify({ oid, size: LARGE }),
  });
  expect(verified.status).toBe(200);
  const refused = await git(clone, 'push', '--no-verify', 'origin', 'HEAD:main');
  expect([refused.status, refused.stderr]).toEqual([
    1,
    expect.stringContaining(
      'the bytes that were sent for data/large.bin are not those that the LFS pointer names',
    ),
  ]);
  await succeed(clone, 'push', 'origin', 'HEAD:main');
  expect(await version('wrong')).toMatchObject({ status: 'READY' });
});

test.each([NEWEST, OLDER])(
  'MLflow’s client %s sends parts straight to the store, and its version is READY when they are hashed',
  async (mlflow) => {
    const python = await pythonEnv('mlflow', requirements(mlflow));
    runs = 0;
    const name = `large-${mlflow}`;
    const said = JSON.parse(
      (await runPython(python, 'mlflow_large.py', [url, name])).trim().split('\n').at(-1) ?? '',
    );
    expect(said).toEqual({
      at_once: 'PENDING_REGISTRATION',
      status: 'READY',
      second: 'READY',
      same: true,
      too_small: expect.stringContaining('MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE'),
      left: [],
    });
    expect(runs).toBeGreaterThan(0);
  },
  600_000,
);
