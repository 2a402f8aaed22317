import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GitWorld, openGitWorld } from './git.ts';
import { pythonEnv } from './python.ts';

const exec = promisify(execFile);

let world: GitWorld;
let bin: string;
beforeAll(async () => {
  bin = dirname(await pythonEnv('huggingface', 'huggingface_hub==2.4.0\n'));
  world = await openGitWorld();
  await world.git('.', 'lfs', 'install');
});
afterAll(() => world.close());

test('git-lfs with Hugging Face’s transfer agent sends a large file in parts, and a small one beside it', async () => {
  await world.server.api('POST', '/api/v1/workspaces/default/models', { name: 'parts' });
  await world.git('.', 'clone', '-q', world.url('parts'), 'parts');
  const PATH = `${bin}:${process.env.PATH}`;
  await exec('hf', ['lfs-enable-largefiles', join(world.dir, 'parts')], { env: { PATH, HOME: world.dir } });
  await world.git('parts', 'lfs', 'track', '*.bin');
  const files = { 'large.bin': randomBytes(150_000_000), 'small.bin': randomBytes(1000) };
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(world.dir, 'parts', name), bytes);
  await world.git('parts', 'add', '-A');
  await world.git('parts', 'commit', '-q', '-m', 'parts');
  const { status, stderr } = await world.tryGit('parts', ['push', 'origin', 'HEAD:main'], {
    PATH,
    GIT_TRACE: '1',
  });
  expect([status, stderr]).toEqual([
    0,
    expect.stringContaining('parts@1 is READY: 2 files, 150001000 bytes'),
  ]);
  expect(stderr).toContain("exec: sh '-c' 'hf lfs-multipart-upload'");
  await world.git('.', 'clone', '-q', world.url('parts'), 'cloned');
  for (const [name, bytes] of Object.entries(files))
    expect((await readFile(join(world.dir, 'cloned', name))).equals(bytes), name).toBe(true);
  expect(await world.git('cloned', 'lfs', 'fsck')).toContain('OK');
});
