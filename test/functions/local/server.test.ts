import { execFileSync, spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { startServer, type TestServer, TOKEN } from '../../support/server.ts';

const DIGITS = join(import.meta.dirname, '../../models/digits');
const MAIN = join(import.meta.dirname, '../../../functions/local/main.ts');
const WAIT = { timeout: 45_000, interval: 50 };
const models = '/api/v1/workspaces/default/models';

let dir: string;
const servers: TestServer[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-server-'));
});
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
  await rm(dir, { recursive: true, force: true });
});

async function start(env: Record<string, string | undefined> = {}): Promise<TestServer> {
  const server = await startServer(join(dir, 'data'), env);
  servers.push(server);
  return server;
}

describe('start-up', () => {
  test('makes an admin token, shows it once, and it works from then on', async () => {
    const first = await start({ CAIRN_ADMIN_TOKEN: undefined });
    const token = /Admin token +(cairn_\S+)/.exec(first.output())?.[1];
    expect(token).toBeDefined();
    await first.stop();
    const second = await start({ CAIRN_ADMIN_TOKEN: undefined });
    expect(second.output()).not.toContain('cairn_');
    const answer = await fetch(`${second.url}/api/v1/whoami`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(answer.status).toBe(200);
  });

  test('a second server on the same data is refused with the reason', async () => {
    await start();
    await expect(start()).rejects.toThrow(/another|use/i);
  });

  test.each([
    [{ CAIRN_PORT: 'seventy' }, 'CAIRN_PORT'],
    [{ CAIRN_LOG_LEVEL: 'loud' }, 'CAIRN_LOG_LEVEL'],
    [{ CAIRN_ADMIN_TOKEN: 'short' }, 'CAIRN_ADMIN_TOKEN'],
    [{ CAIRN_PUBLIC_URL: 'nowhere' }, 'CAIRN_PUBLIC_URL'],
  ])('a wrong setting %j is named', (env, name) => {
    const run = spawnSync(process.execPath, [MAIN], {
      env: { PATH: process.env.PATH, CAIRN_DATA_DIR: join(dir, 'data'), ...env },
    });
    expect(run.status).toBe(2);
    expect(run.stderr.toString()).toContain(name);
  });

  test('--help lists the settings', () => {
    const help = execFileSync(process.execPath, [MAIN, '--help']).toString();
    for (const name of ['CAIRN_HOST', 'CAIRN_PORT', 'CAIRN_DATA_DIR', 'CAIRN_ADMIN_TOKEN', 'CAIRN_LOG_LEVEL'])
      expect(help).toContain(name);
  });

  test('a data folder of a newer Cairn is refused and stays as it is', async () => {
    await (await start()).stop();
    const path = join(dir, 'data', 'format.json');
    await writeFile(path, '{"format": 999}');
    await expect(start()).rejects.toThrow(/newer/i);
    expect(await readFile(path, 'utf8')).toBe('{"format": 999}');
  });

  test('only the open paths answer without a token', async () => {
    const { url } = await start();
    const status = async (path: string) => (await fetch(url + path)).status;
    for (const path of ['/healthz', '/readyz', '/version', '/docs', '/openapi.json'])
      expect([path, await status(path)]).toEqual([path, 200]);
    for (const path of ['/metrics', models, '/api/v1/whoami', '/endpoints/default/x/v2'])
      expect([path, await status(path)]).toEqual([path, 401]);
    expect(await status('/storage/anything')).toBe(403);
  });
});

test('kill -9 while eight clients write, again and again: what was acknowledged is there, nothing is half there', async () => {
  const acknowledged: { model: string; version: number; commit: string; text: string }[] = [];
  for (let round = 0; round < 4; round++) {
    const server = await start();
    await server.api('POST', models, { name: `m${round}` });
    await server.api('POST', models, { name: 'shared' });
    let stopped = false;
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let n = 0; !stopped; n++) {
        const model = n % 2 === 0 ? 'shared' : `m${round}`;
        const text = `${round} ${writer} ${n}`;
        const made = await server
          .api('POST', `${models}/${model}/versions`, { files: [{ path: 'n.txt', text }] })
          .catch(() => undefined);
        if (!made) return;
        expect(made.status).toBe(201);
        acknowledged.push({ model, version: made.body.version, commit: made.body.commit, text });
      }
    });
    const before = acknowledged.length;
    await vi.waitFor(() => expect(acknowledged.length).toBeGreaterThan(before + 40), WAIT);
    await server.kill();
    stopped = true;
    await Promise.all(writers);
  }
  const server = await start();
  for (const { model, version, commit, text } of acknowledged) {
    const found = await server.api('GET', `${models}/${model}/versions/${version}`);
    expect(found.body).toMatchObject({ status: 'READY', commit });
    expect((await server.api('GET', `${models}/${model}/versions/${version}/files/n.txt`)).body).toBe(text);
  }
  expect(new Set(acknowledged.map(({ model, version }) => `${model} ${version}`)).size).toBe(
    acknowledged.length,
  );
  const { body } = await server.api('GET', `${models}/shared/versions?limit=1000`);
  const numbers: number[] = body.items.map(({ version }: { version: number }) => version);
  expect(numbers).toEqual(numbers.map((_, index) => numbers.length - index));
  expect((await server.api('GET', '/api/v1/workspaces/default/audit/verification')).body).toMatchObject({
    ok: true,
  });
});

describe('the incoming folder', () => {
  const incoming = (...parts: string[]) => join(dir, 'data', 'incoming', ...parts);
  const versions = async (server: TestServer, model: string) =>
    (await server.api('GET', `${models}/${encodeURIComponent(model)}/versions`)).body.items ?? [];

  test('a file becomes a version, a folder does once its marker has come, each exactly once', async () => {
    const server = await start();
    const model = 'two words + ünïcode';
    await mkdir(incoming('default', model, 'release 1', 'sub'), { recursive: true });
    await cp(join(DIGITS, 'digits-v1.onnx'), incoming('default', model, 'release 1', 'model.onnx'));
    await writeFile(incoming('default', model, 'release 1', 'sub', 'notes.txt'), 'notes');
    await cp(join(DIGITS, 'digits-v1.onnx'), incoming('default', model, 'single model.onnx'));
    await vi.waitFor(async () => expect(await versions(server, model)).toHaveLength(1), WAIT);
    await writeFile(incoming('default', model, 'release 1', '_SUCCESS'), '');
    await vi.waitFor(async () => expect(await versions(server, model)).toHaveLength(2), WAIT);
    const [folder, single] = await versions(server, model);
    expect(single).toMatchObject({
      version: 1,
      status: 'READY',
      format: 'onnx',
      fileCount: 1,
      source: { via: 'incoming' },
    });
    expect(folder).toMatchObject({ version: 2, status: 'READY', format: 'onnx', fileCount: 2 });
    await vi.waitFor(async () => expect(await readdir(incoming('.claimed'))).toEqual([]), WAIT);
    expect(await readdir(incoming('default', model))).toEqual([]);
    await server.stop();
    const again = await start();
    expect(await versions(again, model)).toHaveLength(2);
  });

  test('what cannot be a version is put aside with the reason', async () => {
    const server = await start();
    await mkdir(incoming('default', 'digits'), { recursive: true });
    await writeFile(incoming('default', 'digits', 'model.onnx'), 'this is not ONNX');
    const rejected = await vi.waitFor(async () => {
      const [id] = await readdir(incoming('.rejected'));
      return readFile(incoming('.rejected', id ?? '', 'ERROR.txt'), 'utf8');
    }, WAIT);
    expect(rejected).toContain('MODEL_FILE_INVALID');
    expect(await versions(server, 'digits')).toEqual([]);
  });

  test('files that arrive at once for a model that is not there yet all become versions', async () => {
    const server = await start();
    await mkdir(incoming('default', 'many'), { recursive: true });
    const names = Array.from({ length: 30 }, (_, n) => `f${n}.txt`);
    await Promise.all(names.map((name) => writeFile(incoming('default', 'many', name), name)));
    await vi.waitFor(async () => expect(await versions(server, 'many')).toHaveLength(30), WAIT);
    expect(await readdir(incoming())).not.toContain('.rejected');
  });

  test('links are neither followed nor lost, and what hinders one arrival hinders nobody else', async () => {
    await (await start()).stop();
    await writeFile(join(dir, 'elsewhere.txt'), 'secret');
    await mkdir(incoming('default', 'links', 'folder'), { recursive: true });
    await symlink(join(dir, 'elsewhere.txt'), incoming('default', 'links', 'link.txt'));
    await writeFile(incoming('default', 'links', 'folder', 'real.txt'), 'real');
    await symlink(join(dir, 'elsewhere.txt'), incoming('default', 'links', 'folder', 'link.txt'));
    await writeFile(incoming('default', 'links', 'folder', '_SUCCESS'), '');
    await writeFile(incoming('.claimed', 'no-folder'), '');
    await mkdir(incoming('default', 'fine'), { recursive: true });
    await writeFile(incoming('default', 'fine', 'a.txt'), 'a');
    const server = await start();
    const rejected = await vi.waitFor(async () => {
      const ids = await readdir(incoming('.rejected'));
      expect(ids).toHaveLength(2);
      return Promise.all(ids.map((id) => readFile(incoming('.rejected', id, 'ERROR.txt'), 'utf8')));
    }, WAIT);
    for (const reason of rejected) expect(reason).toContain('symbolic link');
    await vi.waitFor(async () => expect(await versions(server, 'fine')).toHaveLength(1), WAIT);
    expect(await versions(server, 'links')).toEqual([]);
  });

  test('a claim that a crash left is registered at the next start', async () => {
    await (await start()).stop();
    await mkdir(incoming('.claimed', 'arrival-1', 'default', 'digits'), { recursive: true });
    await cp(
      join(DIGITS, 'digits-v1.onnx'),
      incoming('.claimed', 'arrival-1', 'default', 'digits', 'digits-v1.onnx'),
    );
    const server = await start();
    await vi.waitFor(async () => expect(await versions(server, 'digits')).toHaveLength(1), WAIT);
    await vi.waitFor(async () => expect(await readdir(incoming('.claimed'))).toEqual([]), WAIT);
  });
});

describe('an endpoint', () => {
  const endpoints = '/api/v1/workspaces/default/endpoints';
  const image = JSON.stringify({
    inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 64], data: Array(64).fill(0) }],
  });
  const infer = (server: TestServer) =>
    fetch(`${server.url}/endpoints/default/digits/v2/models/digits/infer`, {
      method: 'POST',
      body: image,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    });
  const push = async (server: TestServer, file: string) => {
    await server.api('POST', models, { name: 'digits' });
    const content = (await readFile(join(DIGITS, file))).toString('base64');
    return server.api('POST', `${models}/digits/versions`, { files: [{ path: 'model.onnx', content }] });
  };
  const current = async (server: TestServer) =>
    (await server.api('GET', `${endpoints}/digits`)).body.status?.current;

  test('serves again after kill -9 of the server, the same revision, and no process is left over', async () => {
    const first = await start();
    await push(first, 'digits-v1.onnx');
    const spec = {
      model: 'digits',
      target: { version: 1 },
      strategy: { type: 'all-at-once', bakeSeconds: 0 },
    };
    expect((await first.api('POST', endpoints, { name: 'digits', spec })).status).toBe(201);
    await vi.waitFor(async () => expect(await current(first)).toMatchObject({ version: 1, ready: 1 }), WAIT);
    expect((await infer(first)).status).toBe(200);
    await first.kill();
    const second = await start();
    await vi.waitFor(async () => expect((await infer(second)).status).toBe(200), WAIT);
    expect(await current(second)).toMatchObject({ version: 1, revision: 1 });
    expect((await second.api('GET', `${endpoints}/digits/rollouts`)).body.items).toHaveLength(1);
    await second.api('DELETE', `${endpoints}/digits`);
    await vi.waitFor(async () => expect((await infer(second)).status).toBeGreaterThanOrEqual(400), WAIT);
  });

  test('that is not there is not found, rather than not ready', async () => {
    const server = await start();
    const answer = await infer(server);
    expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
      404,
      'ENDPOINT_NOT_FOUND',
    ]);
  });

  test('that follows an alias rolls out when the alias moves, and goes back by one call', async () => {
    const server = await start();
    await push(server, 'digits-v1.onnx');
    await push(server, 'digits-v2.onnx');
    await server.api('PUT', `${models}/digits/aliases/champion`, { version: 1 });
    const spec = {
      model: 'digits',
      target: { alias: 'champion' },
      strategy: { type: 'all-at-once', bakeSeconds: 0 },
    };
    await server.api('POST', endpoints, { name: 'digits', spec });
    await vi.waitFor(async () => expect(await current(server)).toMatchObject({ version: 1 }), WAIT);
    await server.api('PUT', `${models}/digits/aliases/champion`, { version: 2 });
    await vi.waitFor(async () => expect(await current(server)).toMatchObject({ version: 2 }), WAIT);
    expect((await server.api('DELETE', `${models}/digits/versions/1`)).body).toMatchObject({
      code: 'VERSION_IN_USE',
    });
    await server.api('POST', `${endpoints}/digits/rollback`, { reason: 'I prefer the old one' });
    await vi.waitFor(async () => expect(await current(server)).toMatchObject({ version: 1 }), WAIT);
    const { status } = (await server.api('GET', `${endpoints}/digits`)).body;
    expect(status.lastRollback).toMatchObject({ reason: 'I prefer the old one' });
    expect((await infer(server)).headers.get('cairn-version')).toBe('1');
  });
});
