import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { filesDigest } from '../../shared/serving/files-digest.ts';
import { buildImage } from '../../tools/container-image.ts';
import { asksFor, digitsModel, testSet } from '../functions/model-server/digits-data.ts';
import { type DockerEngine, dockerEngine } from './docker-engine.ts';

const IMAGE = 'cairn-model-server:test';
const MODEL = digitsModel('digits-v2');
const WAIT = { timeout: 60_000, interval: 100 };

let engine: DockerEngine;
let files: Server;
const containers: string[] = [];

beforeAll(async () => {
  engine = await dockerEngine();
  vi.stubEnv('DOCKER_HOST', engine.host);
  await buildImage('model-server', IMAGE);
  files = createServer((request, response) => {
    if (request.url === '/model') return response.end(MODEL);
    const { port } = files.address() as AddressInfo;
    const url = `http://${engine.gateway}:${port}/model`;
    return response.end(JSON.stringify({ files: [{ ...LISTED, url }] }));
  }).listen(0, '0.0.0.0');
  await once(files, 'listening');
});
afterEach(async () => {
  for (const name of containers.splice(0)) await engine.docker('rm', '--force', '--volumes', name);
});
afterAll(async () => {
  files?.close();
  await engine?.docker('rmi', '--force', IMAGE);
  await engine?.close();
});

const LISTED = {
  path: 'model.onnx',
  size: MODEL.length,
  sha256: createHash('sha256').update(MODEL).digest('hex'),
};

/** Runs it as the task definition of the ECS platform does. */
async function run(changes: Record<string, string> = {}) {
  const name = `cairn-${randomUUID()}`;
  containers.push(name);
  const environment = {
    CAIRN_FILES_URL: `http://${engine.gateway}:${(files.address() as AddressInfo).port}/files`,
    CAIRN_FILES_TOKEN: 'token',
    CAIRN_FILES_DIGEST: filesDigest([LISTED]),
    CAIRN_MODEL_NAME: 'digits',
    CAIRN_MODEL_VERSION: '1',
    CAIRN_WORKSPACE: 'default',
    CAIRN_ENDPOINT: 'digits',
    CAIRN_REVISION: '3',
    CAIRN_BASE_PATH: '/endpoints/default/digits',
    CAIRN_METRICS: 'emf',
    CAIRN_DRAIN_SECONDS: '50',
    ...changes,
  };
  await engine.docker(
    ...['run', '--detach', '--name', name, '--read-only', '--user', '1000:1000', '--cap-drop', 'ALL'],
    ...['--security-opt', 'no-new-privileges', '--memory', '512m', '--cpus', '1', '--health-interval', '1s'],
    ...Object.entries(environment).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
    IMAGE,
  );
  const inspect = (format: string) => engine.docker('inspect', '--format', format, name);
  const address = await inspect('{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}');
  return { name, inspect, url: `http://${address}:8080`, logs: () => engine.docker('logs', name) };
}

const healthy = ({ inspect, logs }: Awaited<ReturnType<typeof run>>) =>
  vi.waitFor(
    async () => expect(await inspect('{{.State.Health.Status}}'), await logs()).toBe('healthy'),
    WAIT,
  );

const infer = (url: string, images: number[][]) =>
  fetch(`${url}/endpoints/default/digits/v2/models/digits/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(asksFor(images)),
  });

test('a container on a read-only root, as nobody special, fetches its model and serves it', async () => {
  const container = await run();
  await healthy(container);
  const answer = await infer(container.url, testSet.images);
  expect(answer.headers.get('cairn-revision')).toBe('3');
  const { outputs } = (await answer.json()) as { outputs: { name: string; data: number[] }[] };
  const labels = outputs.find(({ name }) => name === 'label')?.data ?? [];
  const right = labels.filter((label, n) => label === testSet.labels[n]).length;
  expect(right / testSet.labels.length).toBeGreaterThan(0.9);
  expect(await container.inspect('{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Memory}}')).toBe(
    'true 536870912',
  );
  expect(await (await fetch(`${container.url}/metrics`)).text()).toContain('cairn_requests_total');
});

test('nothing but /tmp can be written to, and the process has no rights', async () => {
  const container = await run();
  await healthy(container);
  const script = `
    const fs = require('fs');
    const tries = ['/x', '/app/x', '/tmp/x'].map((path) => { try { fs.writeFileSync(path, ''); return 'written'; } catch (e) { return e.code; } });
    const status = fs.readFileSync('/proc/1/status', 'utf8');
    console.log(JSON.stringify([tries, process.getuid(), process.getgid(), /CapEff:\\s*(\\w+)/.exec(status)[1]]));`;
  const told = JSON.parse(await engine.docker('exec', container.name, 'node', '-e', script));
  expect(told).toEqual([['EROFS', 'EROFS', 'written'], 1000, 1000, '0000000000000000']);
});

test('it has the CPU runtime of this architecture alone, and no sources', async () => {
  const container = await run();
  const script = `console.log(JSON.stringify(require('fs').readdirSync('/app', { recursive: true })))`;
  const listed: string[] = JSON.parse(await engine.docker('exec', container.name, 'node', '-e', script));
  const natives = listed.filter((file) => /\.node$|\.so/.test(file));
  expect(natives.map((file) => file.replace(/^.*napi-v\d+\//, '')).sort()).toEqual([
    `linux/${process.arch}/libonnxruntime.so.1`,
    `linux/${process.arch}/onnxruntime_binding.node`,
  ]);
  expect(listed.filter((file) => file.endsWith('.ts'))).toEqual([]);
});

test('on SIGTERM it finishes what is under way, writes its last metrics and ends with 0', async () => {
  const container = await run();
  await healthy(container);
  const answers: number[] = [];
  let stopping = false;
  const clients = Array.from({ length: 8 }, async () => {
    while (!stopping || answers.length < 50) {
      const { status } = await infer(container.url, testSet.images.slice(0, 64));
      answers.push(status);
      if (stopping) return;
    }
  });
  await vi.waitFor(() => expect(answers.length).toBeGreaterThan(50), WAIT);
  stopping = true;
  await engine.docker('stop', '--time', '60', container.name);
  await Promise.all(clients);
  expect(answers.every((status) => status === 200)).toBe(true);
  expect(await container.inspect('{{.State.ExitCode}}')).toBe('0');
  const lines = (await container.logs()).split('\n').map((line) => JSON.parse(line));
  expect(lines.some(({ msg }) => msg === 'drained')).toBe(true);
  const requests = lines
    .filter(({ Revision }) => Revision === '3')
    // A line may have only what the one before it had no room for.
    .map(({ Requests = 0 }) => (typeof Requests === 'object' ? Requests.Count : Requests));
  expect(requests.reduce((sum, count) => sum + count, 0)).toBe(answers.length);
});

test('other bytes than those deployed are not loaded: it ends and says why', async () => {
  const container = await run({ CAIRN_FILES_DIGEST: 'a'.repeat(64) });
  await vi.waitFor(async () => expect(await container.inspect('{{.State.Status}}')).toBe('exited'), WAIT);
  expect(await container.inspect('{{.State.ExitCode}}')).toBe('3');
  expect(await container.logs()).toContain('"code":"DIGEST_MISMATCH"');
});
