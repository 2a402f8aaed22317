import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { onnxFile } from '../../models/onnx-file.ts';
import { asksFor, digitsModel, testSet } from './digits-data.ts';
import { type Reply, startModelServer, startReady } from './start.ts';

const model = digitsModel('digits-v2');
const INFER = '/v2/models/digits/infer';

test.each([
  [
    'whose bytes changed',
    model,
    { sha256: 'a'.repeat(64) },
    3,
    'DIGEST_MISMATCH',
    /"model\.onnx" has SHA-256 [0-9a-f]{64}, not a{64}/,
  ],
  ['that is shorter than published', model, { size: model.length + 1 }, 3, 'SIZE_MISMATCH', /bytes, not/],
  ['that is missing', model, { path: 'other.onnx' }, 3, 'FILE_NOT_FOUND', /"other\.onnx" is missing/],
  [
    'outside its directory',
    model,
    { path: '../model.onnx' },
    3,
    'INVALID_ARGUMENT',
    /outside the model's directory/,
  ],
  ['with a bad digest', model, { sha256: 'x' }, 3, 'INVALID_ARGUMENT', /sha256/],
  ['that is cut off', model.subarray(0, 5000), {}, 4, 'MODEL_FILE_INVALID', /truncated/],
  [
    'with an operator that does not exist',
    onnxFile({
      inputs: [{ name: 'x', type: 'float', shape: [1] }],
      outputs: [{ name: 'y', type: 'float', shape: [1] }],
      nodes: [{ op: 'Nothing', inputs: ['x'], outputs: ['y'] }],
    }),
    {},
    4,
    undefined,
    /Nothing/,
  ],
])(
  'a model file %s is refused at the start with a clear line',
  async (_, bytes, listed, exitCode, code, sentence) => {
    const ended = await startModelServer(bytes, { listed });
    expect(ended).toMatchObject({ exitCode });
    expect(ended.lines.at(-1)).toMatchObject({ level: 'error', msg: expect.stringMatching(sentence) });
    expect(ended.lines.at(-1)?.code).toBe(code);
  },
);

test('a setting that is wrong is named', async () => {
  const ended = await startModelServer(model, {
    environment: { CAIRN_PORT: '70000', CAIRN_THREADS: 'many' },
  });
  expect(ended).toMatchObject({ exitCode: 2 });
  expect(ended.lines[0]?.msg).toMatch(/^cannot start: .*CAIRN_PORT: .*CAIRN_THREADS: /);
});

test('it runs under the permission model with nothing but files to read, add-ons and threads', async () => {
  const project = fileURLToPath(new URL('../../..', import.meta.url));
  await using server = await startReady(model, {
    environment: { CAIRN_RUN_IN: 'worker' },
    flags: [
      '--permission',
      '--allow-addons',
      '--allow-worker',
      `--allow-fs-read=${project}`,
      `--allow-fs-read=${tmpdir()}`,
      '--disable-warning=PERM0001',
      '--disable-warning=PERM0006',
    ],
  });
  const reply = await server.post(INFER, asksFor(testSet.images.slice(0, 1)));
  expect(reply.status).toBe(200);
  expect(await server.stop()).toBe(0);
});

test('SIGTERM under load loses no request that came', async () => {
  await using server = await startReady(model);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const body = JSON.stringify(asksFor(testSet.images.slice(0, 1)));
  const headers = { 'content-type': 'application/json' };
  let answered = 0;
  let last: Reply | undefined;

  async function client(): Promise<string> {
    for (;;) {
      try {
        const reply = await server.send('POST', INFER, { headers, body, agent });
        if (reply.status !== 200) return `status ${reply.status}`;
        answered++;
        last = reply;
      } catch (error) {
        return (error as NodeJS.ErrnoException).code ?? String(error);
      }
    }
  }

  const clients = Array.from({ length: 8 }, client);
  await vi.waitFor(() => expect(answered).toBeGreaterThan(500), { timeout: 20_000 });
  const stopped = server.stop();
  // A new connection is refused; a request on an open one is answered.
  expect(new Set(await Promise.all(clients))).toEqual(new Set(['ECONNREFUSED']));
  expect(last?.headers.connection).toBe('close');
  expect(await stopped).toBe(0);
  expect(server.lines.map((line) => line.msg)).toEqual(['model loaded', undefined, 'draining', 'drained']);
  agent.destroy();
});

test('while it drains it is not ready and still answers on open connections', async () => {
  await using server = await startReady(model);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  expect((await server.send('GET', '/ping', { agent })).status).toBe(200);
  const stopped = server.stop();
  await vi.waitFor(() => expect(server.lines.at(-1)?.msg).toBe('draining'));
  const ready = await server.send('GET', '/v2/health/ready', { agent });
  expect([ready.status, ready.json(), ready.headers.connection]).toEqual([503, { ready: false }, 'close']);
  expect(await stopped).toBe(0);
  agent.destroy();
});

test.each(['main', 'worker'])(
  'ONNX Runtime keeps nothing to send to its makers (%s thread)',
  async (runIn) => {
    const home = await mkdtemp(join(tmpdir(), 'cairn-home-'));
    onTestFinished(() => rm(home, { recursive: true }));
    await using server = await startReady(model, { environment: { HOME: home, CAIRN_RUN_IN: runIn } });
    expect((await server.post(INFER, asksFor(testSet.images))).status).toBe(200);
    await server.stop();
    expect(await readdir(home)).toEqual([]);
  },
);

test('it goes when the process that started it is gone', async () => {
  const server = await startReady(model);
  server.process.stdin?.destroy();
  await vi.waitFor(() => expect(server.process.exitCode).toBe(0), { timeout: 20_000 });
});
