import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test, vi } from 'vitest';
import { openProcessPlatform } from '../../../../shared/adapters/local/process-platform.ts';
import type { EndpointRef } from '../../../../shared/ports/serving-platform.ts';
import { openPlatform, PROJECT, STUB } from './process-platform-fixture.ts';

const WAIT = { timeout: 60_000, interval: 20 };
const ref: EndpointRef = { workspace: 'default', endpoint: 'digits' };

let it: Awaited<ReturnType<typeof openPlatform>>;
afterEach(() => it.close());

async function serve(revision: number, replicas = 1, memoryMiB = 2048) {
  const order = it.order(ref, revision, replicas);
  await it.platform.start({ ...order, resources: { ...order.resources, memoryMiB } });
  await vi.waitFor(async () => {
    const { revisions } = await it.platform.observe(ref);
    expect(revisions.find((one) => one.revision === revision)?.ready).toBe(replicas);
  }, WAIT);
  await it.platform.shift(ref, { [revision]: 100 });
}

const about = async () => JSON.parse((await it.call(ref, 'v2/about')).body);
const failures = async () => (await it.platform.observe(ref)).revisions[0];

test('revisions have their own process, port, working directory and environment, and nothing is inherited', async () => {
  process.env.CAIRN_ADMIN_TOKEN = 'secret';
  it = await openPlatform({ env: { EXTRA: 'named' } });
  await serve(1);
  const one = await about();
  await serve(10);
  const ten = await about();
  delete process.env.CAIRN_ADMIN_TOKEN;
  expect(one.pid).not.toBe(ten.pid);
  expect(one.port).not.toBe(ten.port);
  expect(one.cwd).toBe(join(it.endpointDirectory(ref), 'r1/replica-0'));
  expect(
    Object.keys(one.env)
      .filter((name) => !['PATH', 'LANG'].includes(name))
      .sort(),
  ).toEqual([
    'CAIRN_EXIT_WITH_PARENT',
    'CAIRN_HOST',
    'CAIRN_MEMORY_MIB',
    'CAIRN_MODEL_DIR',
    'CAIRN_MODEL_FILES',
    'CAIRN_MODEL_NAME',
    'CAIRN_MODEL_VERSION',
    'CAIRN_PORT',
    'CAIRN_THREADS',
    'EXTRA',
  ]);
  expect(one.env).toMatchObject({ CAIRN_MODEL_NAME: 'digits ✎', CAIRN_MODEL_VERSION: '1' });
});

test('a replica reads its own revision and nothing else', async () => {
  it = await openPlatform();
  await serve(1);
  await serve(10);
  await it.platform.shift(ref, { 1: 100 });
  const read = async (path: string) =>
    JSON.parse((await it.call(ref, `v2/read?path=${encodeURIComponent(path)}`)).body);
  const own = it.endpointDirectory(ref);
  expect(await read(join(own, 'r1/model/model.onnx'))).toEqual({ found: true, text: 'stub' });
  for (const path of [
    join(own, 'r10/model/model.onnx'),
    join(it.directory, 'blobs/stub.onnx'),
    '/etc/hostname',
  ]) {
    expect(await read(path)).toEqual({ error: 'ERR_ACCESS_DENIED' });
  }
});

test('a replica is given the list of the files with their digests', async () => {
  it = await openPlatform();
  await serve(1);
  const list = JSON.parse(await readFile(join(it.endpointDirectory(ref), 'r1/files.json'), 'utf8'));
  expect(list).toEqual([{ path: 'model.onnx', size: 4, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
});

test('a file whose path leads out of the model is not written', async () => {
  it = await openPlatform();
  const order = it.order(ref, 1, 1);
  const files = order.files.map((file) => ({ ...file, path: '../../escaped.onnx' }));
  await it.platform.start({ ...order, files });
  await vi.waitFor(async () => expect((await failures())?.lastFailure).toContain('escaped.onnx'), WAIT);
  expect(it.exists(join(it.endpointDirectory(ref), 'escaped.onnx'))).toBe(false);
});

test('a replica that outgrows its memory is ended and replaced', async () => {
  it = await openPlatform();
  await serve(1, 1, 250);
  const { pid } = await about();
  await it.call(ref, 'v2/grow');
  await vi.waitFor(async () => expect(await failures()).toMatchObject({ failures: 1, ready: 1 }), WAIT);
  expect((await failures())?.lastFailure).toMatch(/used \d+ MiB of memory; it may use 250/);
  expect((await about()).pid).not.toBe(pid);
});

test('a replica that is not ready in time is ended', async () => {
  it = await openPlatform({ entry: '--eval=setInterval(() => {}, 1000)', times: { start: 200 } });
  await it.platform.start(it.order(ref, 1, 1));
  await vi.waitFor(
    async () => expect((await failures())?.lastFailure).toContain('was not ready within'),
    WAIT,
  );
});

test('a request under way is finished before its replica goes', async () => {
  it = await openPlatform();
  await serve(1);
  const slow = it.call(ref, 'v2/slow?ms=300');
  await vi.waitFor(() => expect(it.platform.routes(ref)[0]?.upstreams[0]?.inFlight).toBe(1), WAIT);
  await it.platform.stop(ref, 1);
  expect((await slow).status).toBe(200);
  await vi.waitFor(async () => expect(await it.processes(ref)).toEqual([]), WAIT);
});

test('logs are kept in files until the endpoint is withdrawn', async () => {
  it = await openPlatform();
  await serve(1);
  await it.platform.stop(ref, 1);
  const file = join(it.endpointDirectory(ref), 'logs/r1-0.log');
  await vi.waitFor(async () => expect(await readFile(file, 'utf8')).toContain('hello from the stub'), WAIT);
});

test('tells when a replica becomes ready and when it dies', async () => {
  const onChange = vi.fn();
  it = await openPlatform({ onChange });
  await serve(1);
  expect(onChange).toHaveBeenCalledWith(ref);
  onChange.mockClear();
  await it.call(ref, 'v2/die');
  await vi.waitFor(() => expect(onChange).toHaveBeenCalledWith(ref), WAIT);
});

test('replicas end when the server that started them is killed, and the next start clears up', async () => {
  it = await openPlatform();
  const directory = join(it.directory, 'orphans');
  const script = join(it.directory, 'server.mjs');
  await writeFile(
    script,
    `import { openProcessPlatform } from ${JSON.stringify(join(PROJECT, 'shared/adapters/local/process-platform.ts'))};
     import { link } from 'node:fs/promises';
     const platform = await openProcessPlatform({ directory: ${JSON.stringify(directory)}, clock: { now: Date.now },
       entry: ${JSON.stringify(STUB)}, program: [${JSON.stringify(STUB)}],
       materialise: (file, target) => link(${JSON.stringify(join(it.directory, 'blobs'))} + '/' + file.key, target),
       onChange: async (ref) => {
         const [one] = (await platform.observe(ref)).revisions;
         if (one?.ready) console.log('ready');
       } });
     await platform.start(${JSON.stringify(it.order(ref, 1, 1))});`,
  );
  const server = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(createInterface({ input: server.stdout }), 'line');
  const [pid] = (await readdir(join(directory, 'processes'))).map(Number);
  server.kill('SIGKILL');
  await vi.waitFor(() => expect(() => process.kill(pid ?? 0, 0)).toThrow('ESRCH'), WAIT);
  const next = await openProcessPlatform({
    directory,
    clock: { now: () => 0 },
    entry: STUB,
    program: [STUB],
    materialise: async () => {},
  });
  expect(await readdir(join(directory, 'processes'))).toEqual([]);
  expect(await readdir(join(directory, 'endpoints/default/digits'))).toEqual(['logs']);
  expect(await next.list()).toEqual([ref]);
  await next.withdraw(ref);
  await vi.waitFor(() => expect(it.exists(join(directory, 'endpoints/default/digits'))).toBe(false), WAIT);
});

test('a process that outlived its server is ended by the next start, another one of the same id is not', async () => {
  it = await openPlatform();
  const survivor = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)']);
  const bystander = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)']);
  await Promise.all([once(survivor, 'spawn'), once(bystander, 'spawn')]);
  const { ProcessLedger } = await import('../../../../shared/adapters/local/process-ledger.ts');
  const directory = join(it.directory, 'ledger');
  const ledger = new ProcessLedger(directory);
  await ledger.add(survivor.pid ?? 0);
  await writeFile(join(directory, String(bystander.pid)), 'long ago');
  const over = once(survivor, 'exit');
  await ledger.endAll();
  await over;
  expect(bystander.exitCode ?? bystander.signalCode).toBeNull();
  bystander.kill('SIGKILL');
});
