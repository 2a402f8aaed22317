import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle, FUNCTIONS } from '../../infra/bundle.ts';
import { bundleModelServer } from '../../tools/bundle-model-server.ts';
import { SERVING_ENV } from '../functions/aws/environment.ts';
import { asksFor, digitsModel, testSet } from '../functions/model-server/digits-data.ts';
import { type StartedServer, startReady } from '../functions/model-server/start.ts';
import { arm64Node } from './arm64.ts';
import { pythonEnv } from './python.ts';

/** What runs on AWS runs on ARM: the same bundles and files, under QEMU. */

const exec = promisify(execFile);
const [qemu, ...node] = arm64Node();

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-arm64-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function handled(name: string, script: string): Promise<string> {
  const entry = JSON.stringify(join(dir, name, 'index.mjs'));
  const source = `const { handler } = await import(${entry});\n${script}`;
  const env = { ...SERVING_ENV, AWS_ENDPOINT_URL: 'http://127.0.0.1:1', PATH: process.env.PATH };
  const { stdout } = await exec(qemu, [...node, '--input-type=module', '--eval', source], { env });
  return stdout.trim();
}

test.each(FUNCTIONS)('the bundle of %s begins', async (name) => {
  await bundle(name, join(dir, name));
  expect(await handled(name, 'console.log(process.arch, typeof handler)')).toBe('arm64 function');
});

test('the API answers an event of its gateway', async () => {
  const event = {
    httpMethod: 'GET',
    path: '/healthz',
    headers: { Host: 'x' },
    requestContext: { domainName: 'x' },
  };
  const answer = await handled('api', `console.log((await handler(${JSON.stringify(event)}, {})).body)`);
  expect(answer.split('\n').at(-1)).toBe('{"status":"ok"}');
});

test.each(['digits-v1', 'digits-v2'] as const)(
  'the model server answers the same numbers of %s',
  async (name) => {
    const app = join(dir, name);
    await bundleModelServer(app, 'arm64');
    const command = [qemu, ...node, join(app, 'main.mjs')];
    await using there = await startReady(digitsModel(name), { command });
    await using here = await startReady(digitsModel(name));
    const [arm, own] = [await answers(there), await answers(here)];
    expect(arm.label).toEqual(own.label);
    expect(arm.label).toHaveLength(360);
    const apart = arm.probabilities.map((one, index) =>
      Math.abs(one - (own.probabilities[index] ?? Number.NaN)),
    );
    expect(Math.max(...apart)).toBeLessThan(1e-6);
  },
);

async function answers(server: StartedServer): Promise<{ label: number[]; probabilities: number[] }> {
  const { outputs } = (await server.post('/v2/models/digits/infer', asksFor(testSet.images))).json<{
    outputs: { name: string; data: number[] }[];
  }>();
  const of = (wanted: string) => outputs.find(({ name }) => name === wanted)?.data ?? [];
  return { label: of('label'), probabilities: of('probabilities') };
}

test('each package of the image for Python models has a wheel for it', async () => {
  const python = await pythonEnv('pip', 'pip==25.3\n');
  const requirements = join(import.meta.dirname, '../../functions/python-server/requirements.txt');
  // Of the image's Python, and no newer than its glibc, 2.36.
  const platforms = ['manylinux2014', 'manylinux_2_28', 'manylinux_2_34'].map(
    (one) => `--platform=${one}_aarch64`,
  );
  const { stdout } = await exec(
    python,
    [
      ...[
        '-m',
        'pip',
        'install',
        '--quiet',
        '--dry-run',
        '--ignore-installed',
        '--target',
        join(dir, 'wheels'),
      ],
      ...['--python-version=3.11', ...platforms, '--only-binary=:all:', '--report=-', '-r', requirements],
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  const { install } = JSON.parse(stdout) as { install: { download_info: { url: string } }[] };
  const wheels = install.map(({ download_info: { url } }) => url.replace(/^.*\//, ''));
  expect(wheels).toContainEqual(expect.stringMatching(/^mlserver-.*-any\.whl$/));
  expect(wheels).toContainEqual(expect.stringMatching(/^numpy-.*aarch64\.whl$/));
  expect(wheels.filter((wheel) => !/-any\.whl$|aarch64\.whl$/.test(wheel))).toEqual([]);
});
