import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../bench/context.ts';
import { startServer, type TestServer, TOKEN } from '../support/server.ts';
import { runGit } from './git.ts';
import { type HeldProxy, heldProxy } from './held-proxy.ts';

const MB = 1_000_000;
const SIZE = 24 * MB;

let dir: string;
let port: number;
let proxy: HeldProxy;
let server: TestServer;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-interrupted-'));
  port = await freePort();
  proxy = await heldProxy(port);
  server = await start();
  await git('.', 'lfs', 'install');
});
afterAll(async () => {
  await server.stop();
  await proxy.close();
  await rm(dir, { recursive: true, force: true });
});

/** A server that is reached through the proxy, with the same address each time. */
const start = () =>
  startServer(join(dir, 'data'), {
    CAIRN_PORT: String(port),
    CAIRN_PUBLIC_URL: `http://127.0.0.1:${proxy.port}`,
  });

async function git(where: string, ...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await runGit(dir, join(dir, where), args);
  if (status !== 0) throw new Error(`git ${args.join(' ')}: ${stderr}${server.output()}`);
  return stdout;
}

/** A command in a process group of its own, to be killed with all that it has started. */
function begin(command: string, where: string, args: readonly string[]): ChildProcess {
  return spawn(command, args, {
    cwd: join(dir, where),
    detached: true,
    stdio: 'ignore',
    env: {
      PATH: process.env.PATH,
      HOME: dir,
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      CAIRN_URL: `http://127.0.0.1:${proxy.port}`,
      CAIRN_TOKEN: TOKEN,
    },
  });
}

async function killAll(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  process.kill(-(child.pid ?? 0), 'SIGKILL');
  await exited;
  proxy.release();
}

const exited = async (child: ChildProcess) => (await once(child, 'exit'))[0] as number | null;

let models = 0;
let model: string;
let bytes: Buffer;
const url = () => `http://git:${TOKEN}@127.0.0.1:${proxy.port}/default/${model}.git`;
/** Asks the server itself, on a connection of its own: others end with a server that is killed. */
async function api(method: string, path: string, body?: unknown): Promise<{ items: unknown[] }> {
  const asked = request({
    port,
    method,
    path: `/api/v1/workspaces/default/models${path}`,
    agent: false,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
  });
  asked.end(body === undefined ? undefined : JSON.stringify(body));
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  return JSON.parse((await Array.fromAsync(answer)).join(''));
}
const versions = async () => (await api('GET', `/${model}/versions`)).items;

/** A clone with a commit of one large file, not yet pushed. */
beforeEach(async () => {
  model = `interrupted-${++models}`;
  bytes = randomBytes(SIZE);
  await api('POST', '', { name: model });
  await git('.', 'clone', '-q', url(), model);
  await git(model, 'lfs', 'track', '*.bin');
  await writeFile(join(dir, model, 'a.bin'), bytes);
  await git(model, 'add', '-A');
  await git(model, 'commit', '-q', '-m', 'large');
});

async function pushed(): Promise<void> {
  await git(model, 'push', '-q', 'origin', 'HEAD:main');
}

/** A clone without what its LFS pointers stand for. */
async function clonePointers(to: string): Promise<void> {
  const off = ['filter.lfs.smudge=', 'filter.lfs.process=', 'filter.lfs.required=false'];
  await git('.', ...off.flatMap((setting) => ['-c', setting]), 'clone', '-q', url(), to);
}

async function clonesWhole(): Promise<void> {
  await git('.', 'clone', '-q', url(), `${model}-whole`);
  expect((await readFile(join(dir, `${model}-whole/a.bin`))).equals(bytes)).toBe(true);
}

test('a push whose client is killed while it uploads leaves nothing, and the next one completes', async () => {
  const held = proxy.hold('up', 8 * MB);
  const child = begin('git', model, ['push', '-q', 'origin', 'HEAD:main']);
  await held;
  await killAll(child);
  expect(await versions()).toEqual([]);
  await expect.poll(() => readdir(join(dir, 'data/blobs/unfinished'))).toEqual([]);
  await pushed();
  expect(await versions()).toMatchObject([{ status: 'READY' }]);
  await clonesWhole();
});

test('a push whose server is killed while it uploads completes when it is up again', async () => {
  const held = proxy.hold('up', 8 * MB);
  const child = begin('git', model, ['push', '-q', 'origin', 'HEAD:main']);
  await held;
  await server.kill();
  proxy.release();
  expect(await exited(child)).not.toBe(0);
  server = await start();
  expect(await versions()).toEqual([]);
  await pushed();
  await clonesWhole();
});

test('a download whose client is killed completes when it is run again', async () => {
  await pushed();
  await clonePointers('killed');
  const held = proxy.hold('down', 8 * MB);
  const child = begin('git', 'killed', ['lfs', 'pull']);
  await held;
  await killAll(child);
  await git('killed', 'lfs', 'pull');
  expect((await readFile(join(dir, 'killed/a.bin'))).equals(bytes)).toBe(true);
  expect(await git('killed', 'lfs', 'fsck')).toContain('OK');
});

test('a download whose server is killed goes on where it was', async () => {
  await pushed();
  await clonePointers('resumed');
  await git('resumed', 'config', 'lfs.transfer.maxretries', '1');
  const held = proxy.hold('down', 16 * MB);
  const child = begin('git', 'resumed', ['lfs', 'pull']);
  await held;
  await server.kill();
  proxy.release();
  expect(await exited(child)).not.toBe(0);
  server = await start();
  const before = proxy.passed.down;
  await git('resumed', 'lfs', 'pull');
  expect((await readFile(join(dir, 'resumed/a.bin'))).equals(bytes)).toBe(true);
  expect(proxy.requests.filter((head) => /^range: bytes=\d+-/im.test(head))).toHaveLength(1);
  expect(proxy.passed.down - before).toBeLessThan(SIZE / 2);
});

test('`cairn clone` that was killed goes on when it is run again, and says so where there is a clone already', async () => {
  await pushed();
  const cairn = join(import.meta.dirname, '../../cli/main.ts');
  const again = () => begin(process.execPath, '.', [cairn, 'clone', model, 'cloned']);
  const held = proxy.hold('down', 8 * MB);
  const child = again();
  await held;
  await killAll(child);
  expect(existsSync(join(dir, 'cloned/.git'))).toBe(true);
  expect(await exited(again())).toBe(0);
  expect((await readFile(join(dir, 'cloned/a.bin'))).equals(bytes)).toBe(true);
  expect(await git('cloned', 'lfs', 'fsck')).toContain('OK');
  expect(await exited(again())).toBe(1);
  expect((await readFile(join(dir, 'cloned/a.bin'))).equals(bytes)).toBe(true);
});
