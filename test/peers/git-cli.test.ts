import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type InstalledCli, installCli } from '../cli/harness.ts';
import { TOKEN } from '../support/server.ts';
import { type GitWorld, openGitWorld } from './git.ts';

/** The `cairn` verbs that work with Git, with git and git-lfs themselves. */

let world: GitWorld;
let cli: InstalledCli;
const identity = {
  GIT_AUTHOR_NAME: 'Ada',
  GIT_AUTHOR_EMAIL: 'ada@example.org',
  GIT_COMMITTER_NAME: 'Ada',
  GIT_COMMITTER_EMAIL: 'ada@example.org',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
};
beforeAll(async () => {
  world = await openGitWorld();
  cli = await installCli(() => ({ CAIRN_URL: world.server.url, ...identity }));
  const { status } = await cli.run(['login', world.server.url, '--token', '-'], { stdin: `${TOKEN}\n` });
  expect(status).toBe(0);
});
afterAll(async () => {
  await cli.remove();
  await world.close();
});

const model = readFile(join(import.meta.dirname, '../models/digits/digits-v1.onnx'));

test('clone, change, commit and push: no token is typed, and model files go by LFS', async () => {
  await cli.json([
    'push',
    join(import.meta.dirname, '../models/digits/digits-v1.onnx'),
    'digits',
    '--create',
  ]);
  const cloned = await cli.run(['clone', 'digits']);
  expect([cloned.status, cloned.stdout]).toEqual([0, expect.stringContaining('Cloned digits into digits.')]);
  const dir = join(cli.home, 'digits');
  expect((await readFile(join(dir, 'digits-v1.onnx'))).equals(await model)).toBe(true);
  const weights = randomBytes(50_000);
  await writeFile(join(dir, 'more.safetensors'), weights);
  const git = (...args: string[]) =>
    world.tryGit('.', ['-C', dir, ...args], { HOME: cli.home, XDG_CONFIG_HOME: join(cli.home, 'config') });
  expect((await git('add', '-A')).status).toBe(0);
  expect((await git('commit', '-q', '-m', 'More')).status).toBe(0);
  expect((await git('show', 'HEAD:more.safetensors')).stdout).toContain('git-lfs.github.com');
  const pushed = await cli.run(['push'], { cwd: dir });
  expect([pushed.status, pushed.stderr]).toEqual([0, expect.stringContaining('digits@2 is READY')]);
  expect(await cli.json(['show', 'digits@2'])).toMatchObject({
    fileCount: 2,
    message: 'More',
    author: 'Ada Lovelace <ada@example.org>',
    pushedBy: 'admin',
    framework: 'onnx',
  });
  expect((await git('pull')).stderr).not.toContain('fatal');
});

test('clone, diff and revert tell what changed and bring it back', async () => {
  const difference = await cli.json(['diff', 'digits@1', '2']);
  expect(difference.files).toEqual([{ path: 'more.safetensors', change: 'added', size: 50_000 }]);
  const same = await cli.run(['diff', 'digits@1', 'digits@v1']);
  expect(same.stdout).toContain('The same files.');
  const reverted = await cli.json(['revert', 'digits@1', '-m', 'Back']);
  expect(reverted).toMatchObject({ version: 3, message: 'Back', fileCount: 1, framework: 'onnx' });
  expect((await cli.json(['diff', 'digits@1', '3'])).files).toEqual([]);
  expect((await cli.run(['diff', 'digits@2', '3'])).stdout).toMatch(/more\.safetensors +removed/);
  const dir = join(cli.home, 'again');
  expect((await cli.run(['clone', 'digits', 'again', '--no-track'])).status).toBe(0);
  expect(await world.git('.', '-C', dir, 'rev-parse', 'v1^{tree}')).toBe(
    await world.git('.', '-C', dir, 'rev-parse', 'v3^{tree}'),
  );
  expect(await world.git('.', '-C', dir, 'log', '--format=%s')).toBe('Back\nMore\nVersion 1\n');
  expect(await world.git('.', '-C', dir, 'fsck', '--strict')).toBe('');
});

test('the credential helper gives a token to the server that it was stored for, and to no other', async () => {
  const ask = (url: string, operation = 'get') => {
    const { protocol, host } = new URL(url);
    return cli.run(['credential', operation], {
      stdin: `protocol=${protocol.slice(0, -1)}\nhost=${host}\n\n`,
    });
  };
  expect((await ask(world.server.url)).stdout).toBe(`username=cairn\npassword=${TOKEN}\n`);
  expect((await ask('https://evil.example')).stdout).toBe('');
  expect((await ask(world.server.url, 'store')).stdout).toBe('');
});

test('what cannot be cloned or pushed is said in a sentence', async () => {
  expect((await cli.run(['clone', 'nothing'])).stderr).toContain('There is no model "nothing"');
  expect(await cli.run(['push', 'only-a-path'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('no model to push to'),
  });
  expect(await cli.run(['push'])).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('nothing to push'),
  });
});

test('a checkout of something else is neither pushed nor changed by `cairn push` alone', async () => {
  await world.git('.', 'init', '-q', '--bare', 'elsewhere.git');
  await world.git('.', 'clone', '-q', 'elsewhere.git', 'program');
  await world.git('program', 'commit', '-q', '--allow-empty', '-m', 'Not for anybody yet');
  const { status, stderr } = await cli.run(['push'], { cwd: join(world.dir, 'program') });
  expect([status, stderr]).toEqual([2, expect.stringContaining('no clone of a model')]);
  expect(await world.git('.', '-C', 'elsewhere.git', 'for-each-ref')).toBe('');
  expect(await world.git('program', 'status', '--porcelain')).toBe('');
});
