import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { filesDigest } from '../../shared/serving/files-digest.ts';
import { buildImage } from '../../tools/container-image.ts';
import { freePort } from './aws-server.ts';
import { type DockerEngine, dockerEngine } from './docker-engine.ts';
import { NEWEST, requirements } from './mlflow-requirements.ts';
import { pythonEnv, runPython } from './python.ts';

const IMAGE = 'cairn-python-server:test';
const WAIT = { timeout: 120_000, interval: 250 };
/** Nothing answers there. */
const NO_INDEX = { PIP_INDEX_URL: 'http://127.0.0.1:9/simple', PIP_RETRIES: '0' };

type Name = 'iris' | 'sum';
interface Logged {
  readonly rows: { readonly columns: string[]; readonly data: number[][] };
  /** What `load_model` predicts for the rows. */
  readonly predictions: Readonly<Record<Name, number[]>>;
}

let engine: DockerEngine;
let folder: string;
let logged: Logged;
let files: Server;
const containers: string[] = [];

beforeAll(async () => {
  engine = await dockerEngine();
  vi.stubEnv('DOCKER_HOST', engine.host);
  await buildImage('python-server', IMAGE);
  folder = await mkdtemp(join(tmpdir(), 'cairn-python-image-'));
  const python = await pythonEnv('mlflow', requirements(NEWEST));
  const said = await runPython(python, 'python_logged.py', [folder]);
  logged = JSON.parse(said.split('\n').findLast((line) => line.startsWith('{')) ?? '');
  files = createServer(async (request, response) => {
    const [, name = '', path] =
      /^\/(\w+)\/(.*)$/.exec(decodeURIComponent(request.url?.replace(/\?.*/, '') ?? '')) ?? [];
    if (path !== 'files') return response.end(await readFile(join(folder, name, path ?? '')));
    const base = `http://127.0.0.1:${portOf(files)}/${name}`;
    const listed = (await filesOf(name)).map((file) => ({ ...file, url: `${base}/${encodeURI(file.path)}` }));
    return response.end(JSON.stringify({ files: listed }));
  }).listen(0, '127.0.0.1');
  await once(files, 'listening');
}, 900_000);
afterEach(async () => {
  for (const name of containers.splice(0)) await engine.docker('rm', '--force', '--volumes', name);
});
afterAll(async () => {
  files?.close();
  await engine?.docker('rmi', '--force', IMAGE);
  await engine?.close();
  if (folder) await rm(folder, { recursive: true, force: true });
});

const portOf = (server: Server) => (server.address() as AddressInfo).port;

async function filesOf(name: string) {
  const root = join(folder, name);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(
    paths.map(async (path) => {
      const bytes = await readFile(path);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      return { path: relative(root, path), size: bytes.length, sha256 };
    }),
  );
}

/** Runs it as the task definition of the ECS platform does, on this machine's network: packages come from where pip here gets them. */
async function run(model: Name, changes: Record<string, string> = {}) {
  const name = `cairn-${randomUUID()}`;
  containers.push(name);
  const port = await freePort();
  const environment = {
    CAIRN_FILES_URL: `http://127.0.0.1:${portOf(files)}/${model}/files`,
    CAIRN_FILES_TOKEN: 'token-of-the-revision',
    CAIRN_FILES_DIGEST: filesDigest(await filesOf(model)),
    CAIRN_MODEL_ENTRY: '.',
    CAIRN_MODEL_NAME: model,
    CAIRN_MODEL_VERSION: '4',
    CAIRN_WORKSPACE: 'default',
    CAIRN_ENDPOINT: model,
    CAIRN_REVISION: '3',
    CAIRN_BASE_PATH: `/endpoints/default/${model}`,
    CAIRN_METRICS: 'emf',
    CAIRN_DRAIN_SECONDS: '50',
    CAIRN_HOST: '127.0.0.1',
    CAIRN_PORT: String(port),
    ...changes,
  };
  await engine.docker(
    ...[
      'run',
      '--detach',
      '--name',
      name,
      '--network',
      'host',
      '--read-only',
      '--user',
      '1000:1000',
      '--cap-drop',
      'ALL',
    ],
    ...['--security-opt', 'no-new-privileges', '--memory', '2g', '--health-interval', '1s'],
    ...Object.entries(environment).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
    IMAGE,
  );
  const inspect = (format: string) => engine.docker('inspect', '--format', format, name);
  const url = `http://127.0.0.1:${port}`;
  return {
    name,
    inspect,
    url,
    logs: () => engine.docker('logs', name),
    endpoint: `${url}/endpoints/default/${model}`,
  };
}

type Container = Awaited<ReturnType<typeof run>>;

const healthy = ({ inspect, logs }: Container) =>
  vi.waitFor(async () => {
    expect(await inspect('{{.State.Status}}'), await logs()).toBe('running');
    expect(await inspect('{{.State.Health.Status}}')).toBe('healthy');
  }, WAIT);

const invoke = ({ endpoint }: Container) =>
  fetch(`${endpoint}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ dataframe_split: logged.rows }),
  });

test('a scikit-learn model gets the packages that the image lacks, answers what load_model predicts, and drains', async () => {
  const container = await run('iris');
  await healthy(container);
  expect(await container.logs()).toContain('Successfully installed cowsay-6.1');
  const answer = await invoke(container);
  expect(answer.headers.get('cairn-revision')).toBe('3');
  expect(answer.headers.get('cairn-version')).toBe('4');
  expect(await answer.json()).toEqual({ predictions: logged.predictions.iris });
  const { columns, data } = logged.rows;
  const inputs = columns.map((name, column) => ({
    name,
    shape: [data.length, 1],
    datatype: 'FP64',
    data: data.map((row) => row[column]),
  }));
  const v2 = await fetch(`${container.endpoint}/v2/models/iris/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs }),
  });
  expect(await v2.json()).toMatchObject({ model_name: 'iris', outputs: [{ data: logged.predictions.iris }] });
  expect((await fetch(`${container.endpoint}/v2/models/iris/ready`)).status).toBe(200);
  expect((await fetch(`${container.url}/ping`)).status).toBe(200);
  expect((await fetch(`${container.endpoint}/docs`)).status).toBe(404);
  const bad = await fetch(`${container.endpoint}/invocations`, { method: 'POST', body: '{' });
  expect(bad.status).toBeGreaterThanOrEqual(400);
  const metrics = await (await fetch(`${container.url}/metrics`)).text();
  expect(metrics).toContain('cairn_requests_total{model="iris",version="4",code="200"} 2');

  const answers: number[] = [];
  let stopping = false;
  const clients = Array.from({ length: 4 }, async () => {
    while (!stopping) answers.push((await invoke(container)).status);
  });
  await vi.waitFor(() => expect(answers.length).toBeGreaterThan(20), WAIT);
  stopping = true;
  await engine.docker('stop', '--time', '60', container.name);
  await Promise.all(clients);
  expect(answers.every((status) => status === 200)).toBe(true);
  expect(await container.inspect('{{.State.ExitCode}}'), await container.logs()).toBe('0');
  const lines = (await container.logs()).split('\n').filter((line) => line.startsWith('{"_aws"'));
  const counts = lines
    .map((line) => JSON.parse(line))
    .filter(({ Revision }) => Revision === '3')
    .map(({ Requests }) => (typeof Requests === 'object' ? Requests.Count : 1));
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(answers.length + 3);
});

test('what the image has needs no package index, on a read-only root, as nobody special', async () => {
  const container = await run('sum', NO_INDEX);
  await healthy(container);
  expect(await (await invoke(container)).json()).toEqual({ predictions: logged.predictions.sum });
  const script = `
    const fs = require('fs');
    const tries = ['/x', '/app/x', '/opt/python/x', '/tmp/x'].map((path) => { try { fs.writeFileSync(path, ''); return 'written'; } catch (e) { return e.code; } });
    const ofPython = fs.readdirSync('/proc').filter((pid) => /^\\d+$/.test(pid) && /main\\.py/.test(fs.readFileSync('/proc/' + pid + '/cmdline', 'utf8')));
    const told = ofPython.map((pid) => /CAIRN_FILES_TOKEN/.test(fs.readFileSync('/proc/' + pid + '/environ', 'utf8')));
    console.log(JSON.stringify([tries, process.getuid(), told]));`;
  const told = JSON.parse(await engine.docker('exec', container.name, 'node', '-e', script));
  expect(told).toEqual([['EROFS', 'EROFS', 'EROFS', 'written'], 1000, [false]]);
});

test.each([
  ['a package that is not to be had', 'iris', NO_INDEX, 5, 'pip cannot install what the model needs'],
  ['files that are not those deployed', 'sum', { CAIRN_FILES_DIGEST: 'a'.repeat(64) }, 3, 'DIGEST_MISMATCH'],
] as const)('%s: it ends and says why', async (_, model, changes, code, sentence) => {
  const container = await run(model, changes);
  await vi.waitFor(async () => expect(await container.inspect('{{.State.Status}}')).toBe('exited'), WAIT);
  expect(await container.logs()).toContain(sentence);
  expect(await container.inspect('{{.State.ExitCode}}')).toBe(String(code));
});
