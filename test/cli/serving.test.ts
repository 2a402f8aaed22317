import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { onnxFile } from '../models/onnx-file.ts';
import { ADMIN_TOKEN, type InstalledCli, installCli, startServer, type TestServer } from './harness.ts';

const MODELS = resolve(import.meta.dirname, '../models/digits');

let server: TestServer;
let cli: InstalledCli;
let images: number[][];
let labels: number[];

beforeAll(async () => {
  server = await startServer();
  cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: ADMIN_TOKEN }));
  ({ images, labels } = JSON.parse(await readFile(join(MODELS, 'test.json'), 'utf8')));
  for (const version of ['digits-v1', 'digits-v2'])
    await cli.json(['push', join(MODELS, `${version}.onnx`), 'Ziffern']);
});

afterAll(async () => {
  await cli.remove();
  await server.close();
});

const FAST = ['--bake-seconds', '0', '--endpoint', 'digits'];

test('a model goes from its file to predictions and back to the version before, by commands alone', async () => {
  const empty = await cli.run(['status']);
  expect(empty.stdout).toContain('cairn deploy');

  const deployed = await cli.run(['deploy', 'Ziffern@1', ...FAST]);
  expect(deployed).toMatchObject({
    status: 0,
    stdout: expect.stringContaining('digits runs Ziffern version 1'),
  });
  expect(deployed.stderr).toMatch(/starting|baking|steady/);

  const input = join(cli.home, 'images.json');
  await writeFile(input, JSON.stringify(images.slice(0, 50)));
  const answer = await cli.json(['predict', 'digits', '--input', input]);
  expect(answer.outputs.length).toBeGreaterThan(0);
  const label = answer.outputs.find(({ datatype }: { datatype: string }) => datatype === 'INT64');
  if (label) {
    const right = label.data.filter((digit: number, at: number) => digit === labels[at]).length;
    expect(right).toBeGreaterThan(30);
  }
  const one = await cli.run(['predict', 'digits', '--data', JSON.stringify(images[0])]);
  expect(one).toMatchObject({ status: 0, stdout: expect.stringMatching(/\[1/) });

  const canary = await cli.json(['deploy', 'Ziffern@2', ...FAST, '--canary', '20', '--canary-seconds', '1']);
  expect(canary).toMatchObject({
    spec: { strategy: { type: 'canary', canaryPercent: 20 } },
    status: { current: { version: 2 }, phase: 'idle' },
  });
  const again = await cli.json(['deploy', 'Ziffern@2', '--endpoint', 'digits', '--replicas', '1']);
  expect(again.spec.strategy).toMatchObject({ type: 'canary', canaryPercent: 20 });

  const back = await cli.run(['rollback', 'digits', '--reason', 'sevens look like ones']);
  expect(back).toMatchObject({ status: 0, stdout: expect.stringContaining('from version 2 to version 1') });
  const status = await cli.json(['status', 'digits']);
  expect(status).toMatchObject({
    status: { lastRollback: { reason: 'sevens look like ones' }, current: { version: 1 } },
  });
  expect(status.alarms.length).toBeGreaterThanOrEqual(2);
  expect((await cli.run(['status', 'digits'])).stdout).toContain('sevens look like ones');
  expect((await cli.run(['status'])).stdout).toMatch(/digits +Ziffern/);

  const { items } = await cli.json(['audit', 'digits']);
  expect(items.map(({ action }: { action: string }) => action)).toContain('endpoint.rolled-back');
  expect(await cli.json(['logs', 'digits', '--limit', '5'])).toMatchObject({ items: expect.any(Array) });
});

test('bad input is refused before it is sent', async () => {
  const ragged = await cli.run(['predict', 'digits', '--data', '[[1, 2], [3]]']);
  expect(ragged).toMatchObject({ status: 2, stderr: expect.stringContaining('ragged') });
  const short = await cli.run(['predict', 'digits', '--data', '[[1, 2, 3]]']);
  expect(short).toMatchObject({ status: 2, stderr: expect.stringContaining('the model takes [?, 64]') });
});

test('a deployment that does not become current fails with the reason', async () => {
  const text = join(cli.home, 'not-a-model.txt');
  await writeFile(text, 'no model');
  await cli.json(['push', text, 'Ziffern']);
  const { status, stderr } = await cli.run(['deploy', 'Ziffern@3', ...FAST, '--json']);
  expect(status).not.toBe(0);
  expect(JSON.parse(stderr).detail).toEqual(expect.any(String));
  expect(await cli.json(['status', 'digits'])).toMatchObject({ status: { current: { version: 1 } } });
});

test('a version that cannot start is given up, the command fails, and what served goes on', async () => {
  const broken = join(cli.home, 'broken.onnx');
  const image = { name: 'image', type: 'float', shape: ['batch', 64] } as const;
  const nodes = [{ op: 'NoSuchOperator', inputs: ['image'], outputs: ['label'] }];
  await writeFile(broken, onnxFile({ inputs: [image], outputs: [{ ...image, name: 'label' }], nodes }));
  const { version } = await cli.json(['push', broken, 'Ziffern']);
  const { status, stdout, stderr } = await cli.run(['deploy', `Ziffern@${version}`, ...FAST, '--json']);
  expect(status).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({
    code: 'ROLLOUT_FAILED',
    detail: expect.stringMatching(/was given up: .*Version 1 serves\./s),
  });
  expect(JSON.parse(stdout)).toMatchObject({ status: { rejected: { version }, current: { version: 1 } } });
  expect((await cli.run(['predict', 'digits', '--data', JSON.stringify(images[0])])).status).toBe(0);
});

test('an endpoint follows an alias, and goes when it is deleted', async () => {
  await cli.json(['alias', 'Ziffern', 'champion', '1']);
  const followed = await cli.json([
    'deploy',
    'Ziffern',
    '--follow',
    'champion',
    '--bake-seconds',
    '0',
    '--endpoint',
    'followed',
  ]);
  expect(followed).toMatchObject({
    spec: { target: { alias: 'champion' } },
    status: { current: { version: 1 } },
  });
  await cli.json(['alias', 'Ziffern', 'champion', '2']);
  await vi.waitFor(
    async () => {
      const now = await cli.json(['status', 'followed']);
      expect(now.status).toMatchObject({ phase: 'idle', current: { version: 2 } });
    },
    { timeout: 30_000 },
  );
  await cli.json(['delete', 'endpoint', 'followed', '--yes']);
  expect((await cli.run(['status', 'followed'])).status).toBe(3);
});

test('an endpoint is named after its model, and --no-wait answers at once', async () => {
  const taken = await cli.json(['deploy', 'Ziffern@1', '--bake-seconds', '0', '--no-wait']);
  expect(taken).toMatchObject({ name: 'ziffern', generation: 1 });
});
