import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestServer, TOKEN } from '../support/server.ts';
import { NEWEST, OLDER, requirements } from './mlflow-requirements.ts';
import { startMlflowServer } from './mlflow-server.ts';
import { pythonEnv, runPython } from './python.ts';

let folder: string;
let newest: string;
let server: TestServer;

beforeAll(async () => {
  // The scripts inherit it; MLflow's own server takes no notice.
  process.env.MLFLOW_TRACKING_TOKEN = TOKEN;
  process.env.MLFLOW_HTTP_REQUEST_MAX_RETRIES = '1';
  folder = await mkdtemp(join(tmpdir(), 'cairn-mlflow-'));
  newest = await pythonEnv('mlflow', requirements(NEWEST));
  server = await startServer(join(folder, 'data'));
}, 600_000);

afterAll(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('every call is answered as MLflow’s own server answers it, field by field', async () => {
  const own = await startMlflowServer(newest, folder);
  const fresh = await startServer(join(folder, 'calls'));
  try {
    const [expected, found] = await Promise.all(
      [own.url, fresh.url].map(async (url) => lines(await runPython(newest, 'mlflow_calls.py', [url]))),
    );
    expect(expected?.length).toBeGreaterThan(300);
    expect(found).toEqual(expected);
  } finally {
    await Promise.all([own.stop(), fresh.stop()]);
  }
}, 600_000);

test.each([NEWEST, OLDER])(
  'MLflow’s client %s logs, registers, searches and loads every flavour',
  async (version) => {
    const python = await pythonEnv('mlflow', requirements(version));
    const own = version === NEWEST ? server : await startServer(join(folder, version));
    try {
      const work = await mkdtemp(join(folder, 'client-'));
      const said = lines(await runPython(python, 'mlflow_client.py', [own.url, work])).at(-1);
      expect(said).toMatchObject({
        version,
        done: expect.arrayContaining(['pyfunc with code', 'deleted run']),
      });
    } finally {
      if (own !== server) await own.stop();
    }
  },
  600_000,
);

test('what MLflow’s client registered is a version with bytes, which says where it came from', async () => {
  const { body } = await server.api('GET', '/api/v1/workspaces/default/models/net/versions/1');
  expect(body).toMatchObject({
    status: 'READY',
    framework: 'onnx',
    format: 'mlflow',
    source: { via: 'mlflow', run: expect.any(String), loggedModel: expect.stringMatching(/^m-/) },
  });
  expect(body.reference).toBeUndefined();
  const { body: audit } = await server.api('GET', '/api/v1/workspaces/default/audit?limit=1000');
  const event = audit.items.find(({ action, subject }: { action: string; subject: string }) => {
    return action === 'version.created' && subject === 'net@1';
  });
  expect(event.call).toBe('mlflow POST model-versions/create');
  const { body: checked } = await server.api('GET', '/api/v1/workspaces/default/audit/verification');
  expect(checked).toMatchObject({ ok: true });
});

test('an ONNX model that MLflow logged is deployed as it is', async () => {
  const endpoints = '/api/v1/workspaces/default/endpoints';
  const spec = { model: 'net', target: { version: 1 }, strategy: { type: 'all-at-once', bakeSeconds: 0 } };
  expect((await server.api('POST', endpoints, { name: 'net', spec })).status).toBe(201);
  const inputs = [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }];
  await expect
    .poll(
      async () => (await server.api('POST', '/endpoints/default/net/v2/models/net/infer', { inputs })).body,
      {
        timeout: 60_000,
        interval: 250,
      },
    )
    .toMatchObject({ outputs: [{ name: 'y', data: [2, 4, 6, 8] }] });
});

test('only the registry is Cairn’s, and runs are tracked elsewhere', async () => {
  const work = await mkdtemp(join(folder, 'registry-'));
  const said = lines(await runPython(newest, 'mlflow_registry_only.py', [server.url, work]));
  expect(said.at(-1)).toEqual({ loaded: true });
});

test('200 versions at once get 1 to 200, and 8 processes log their runs whole', async () => {
  const said = lines(await runPython(newest, 'mlflow_parallel.py', [server.url]));
  expect(said.at(-1)).toEqual({ versions: 200, runs: 16 });
});

const lines = (text: string) =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
