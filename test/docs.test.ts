import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CAIRN_EVENTS } from '../shared/webhooks/event-name.ts';
import { startServer, type TestServer, TOKEN } from './support/server.ts';

const PROJECT = join(import.meta.dirname, '..');

let dir: string;
let server: TestServer;

/** A folder that looks like the checkout to the commands, with data of its own. */
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-docs-'));
  for (const name of ['test', 'dist', 'package.json', 'node_modules'])
    await symlink(join(PROJECT, name), join(dir, name));
  server = await startServer(join(dir, 'data'));
  await mkdir(join(dir, 'my-model-folder'));
  await copyFile(join(PROJECT, 'test/models/digits/digits-v1.onnx'), join(dir, 'model.onnx'));
  await copyFile(
    join(PROJECT, 'test/models/digits/digits-v1.onnx'),
    join(dir, 'my-model-folder/digits-v1.onnx'),
  );
});
afterAll(async () => {
  await server.stop();
  await rm(dir, { recursive: true, force: true });
});

/** The `sh` blocks of a page, one after the other. */
async function commandsOf(page: string): Promise<string> {
  const text = await readFile(join(PROJECT, 'docs', page), 'utf8');
  return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block).join('\n');
}

function run(script: string) {
  // `npx cairn` is the project's own bin: found without asking a registry.
  const cairn = `npx() { shift; "${process.execPath}" dist/cairn.js "$@"; }`;
  return spawnSync('bash', ['--norc', '-euo', 'pipefail', '-c', `${cairn}\n${script}`], {
    cwd: dir,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: `${join(PROJECT, 'node_modules/.bin')}:${process.env.PATH}`,
      HOME: dir,
      CAIRN_URL: server.url,
      CAIRN_TOKEN: TOKEN,
    },
  });
}

test('the upload guide’s commands run as written', async () => {
  await server.api('POST', '/api/v1/workspaces/default/models', { name: 'digits' });
  const { status, stdout, stderr } = run(await commandsOf('upload.md'));
  expect([status, stderr]).toEqual([0, expect.not.stringContaining('rror')]);
  expect(stdout).toContain('"status":"READY"');
  expect(await readFile(join(dir, 'part.bin'))).toHaveLength(100);
});

test('the MLflow guide’s commands for deleting run as written', async () => {
  const purging = (await readFile(join(PROJECT, 'docs/mlflow.md'), 'utf8')).split('## Deleting for good')[1];
  const { status, stdout, stderr } = run(/^```sh\n([\s\S]*?)^```/m.exec(purging ?? '')?.[1] ?? 'false');
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout.match(/Nothing was deleted/g)).toHaveLength(2);
});

test('the webhooks guide’s commands run as written', async () => {
  const { status, stdout, stderr } = run(await commandsOf('webhooks.md'));
  expect([status, stderr]).toEqual([0, expect.not.stringContaining('rror')]);
  expect(stdout).toContain('Nothing was delivered yet.');
  expect(stdout).toMatch(/Deleted 1 webhook\.$/m);
  expect(await readFile(join(dir, 'secret.txt'), 'utf8')).toMatch(/^whsec_\S+\n$/);
  const page = await readFile(join(PROJECT, 'docs/webhooks.md'), 'utf8');
  for (const event of CAIRN_EVENTS) expect(page).toContain(`\`${event}\``);
});

test('the API guide’s commands run as written', async () => {
  const page = (await commandsOf('api.md')).replace(/^export CAIRN_URL.*$/m, '');
  const { status, stdout, stderr } = run(page);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/hello$/);
});

test('the serving guide’s commands run as written', async () => {
  await writeFile(
    join(dir, 'endpoint.json'),
    /```json\n([\s\S]*?)```/.exec(await readFile(join(PROJECT, 'docs/serving.md'), 'utf8'))?.[1] ?? '',
  );
  expect(run('npx cairn deploy digits@1 --all-at-once --bake-seconds 0').status).toBe(0);
  const whole = run('npx cairn deploy --endpoint whole --spec endpoint.json --no-wait --json');
  expect([whole.status, JSON.parse(whole.stdout).spec]).toEqual([
    0,
    JSON.parse(await readFile(join(dir, 'endpoint.json'), 'utf8')),
  ]);
  expect(run('npx cairn deploy digits@2 --bake-seconds 0').status).toBe(0);
  const { status, stderr } = run(await commandsOf('serving.md'));
  expect([status, stderr]).toEqual([0, expect.not.stringContaining('rror')]);
});
