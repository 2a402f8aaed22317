import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { TOKEN } from '../support/server.ts';
import { freePort, installed } from './aws-server.ts';

const PROJECT = join(import.meta.dirname, '../..');
const WAIT = { timeout: 60_000, interval: 100 };

let dir: string;
const stops: (() => Promise<void>)[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-storage-docs-'));
  for (const name of ['test', 'dist', 'functions', 'shared', 'package.json', 'node_modules'])
    await symlink(join(PROJECT, name), join(dir, name));
});
afterAll(async () => {
  for (const stop of stops.reverse()) await stop();
  await rm(dir, { recursive: true, force: true });
});

test('the storage guide’s commands run as written, one terminal after the other', async () => {
  const page = await readFile(join(PROJECT, 'docs/storage.md'), 'utf8');
  const [storePort, cairnPort] = [await freePort(), await freePort()];
  const [store = '', cairn = '', client = '', ...more] = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(
    ([, block = '']) => block.replaceAll('7071', String(storePort)),
  );
  expect(more).toEqual([]);
  const env = {
    PATH: `${installed('bin')}:${join(PROJECT, 'node_modules/.bin')}:${process.env.PATH}`,
    HOME: dir,
    CAIRN_PORT: String(cairnPort),
    CAIRN_ADMIN_TOKEN: TOKEN,
    CAIRN_URL: `http://127.0.0.1:${cairnPort}`,
    CAIRN_TOKEN: TOKEN,
  };
  const terminal = (script: string) => {
    // `npx cairn` is the project's own bin: found without asking a registry.
    const npx = `npx() { shift; "${process.execPath}" dist/cairn.js "$@"; }`;
    return ['--norc', '-euo', 'pipefail', '-c', `${npx}\n${script}`];
  };
  const begin = (script: string) => {
    const shell = spawn('bash', terminal(script), { cwd: dir, env, stdio: 'ignore', detached: true });
    const ended = once(shell, 'exit');
    stops.push(async () => {
      if (shell.exitCode === null && shell.pid) process.kill(-shell.pid, 'SIGTERM');
      await ended;
    });
  };
  const answers = (url: string) => vi.waitFor(async () => void (await (await fetch(url)).text()), WAIT);
  begin(store);
  await answers(`http://127.0.0.1:${storePort}`);
  begin(cairn);
  await answers(`${env.CAIRN_URL}/readyz`);
  const { status, stdout, stderr } = spawnSync('bash', terminal(client), { cwd: dir, env, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, expect.not.stringContaining('rror')]);
  expect(stdout).toContain('Readiness: the server can do its work');
});
