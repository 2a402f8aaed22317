import { spawnSync } from 'node:child_process';
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TOKEN } from '../support/server.ts';
import { type GitWorld, openGitWorld } from './git.ts';

const PROJECT = join(import.meta.dirname, '../..');

let world: GitWorld;
beforeAll(async () => {
  world = await openGitWorld();
  // As `npm install -g .` would put it on the path.
  await mkdir(join(world.dir, 'bin'));
  const shim = join(world.dir, 'bin/cairn');
  await writeFile(shim, `#!/bin/sh\nexec "${process.execPath}" "${join(PROJECT, 'dist/cairn.js')}" "$@"\n`);
  await chmod(shim, 0o755);
  for (const name of ['v1', 'v2'])
    await copyFile(join(PROJECT, `test/models/digits/digits-${name}.onnx`), join(world.dir, `${name}.onnx`));
  await copyFile(join(world.dir, 'v2.onnx'), join(world.dir, 'model.onnx'));
});
afterAll(() => world.close());

function run(script: string) {
  return spawnSync('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
    cwd: world.dir,
    encoding: 'utf8',
    env: {
      PATH: `${join(world.dir, 'bin')}:${process.env.PATH}`,
      HOME: world.dir,
      CAIRN_URL: world.server.url,
      CAIRN_TOKEN: TOKEN,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      GIT_AUTHOR_NAME: 'Ada',
      GIT_AUTHOR_EMAIL: 'ada@example.org',
      GIT_COMMITTER_NAME: 'Ada',
      GIT_COMMITTER_EMAIL: 'ada@example.org',
    },
  });
}

test('the Git guide’s commands run as written', async () => {
  expect(run('cairn push v1.onnx digits --create --alias champion && cairn push v2.onnx digits').status).toBe(
    0,
  );
  const text = await readFile(join(PROJECT, 'docs/git.md'), 'utf8');
  const script = [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block]) => block).join('\n');
  const { status, stdout, stderr } = run(script);
  expect([status, stderr]).toEqual([0, expect.stringMatching(/remote: digits@3 is READY: 2 files/)]);
  expect(stderr).not.toMatch(/^(fatal|error):/m);
  expect(stdout).toContain('refs/aliases/champion');
  expect(stdout).toContain('Locked retrained.onnx');
  const { body } = await world.server.api('GET', '/api/v1/workspaces/default/models/digits/versions');
  expect(body.items.map(({ message }: { message: string }) => message)).toEqual([
    'Large',
    'Back to what worked',
    'An idea',
    'Retrained on October',
    '',
    '',
  ]);
});
