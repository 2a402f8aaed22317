import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TOKEN } from '../support/server.ts';
import { type GitWorld, openGitWorld } from './git.ts';

let world: GitWorld;
beforeAll(async () => {
  world = await openGitWorld();
  await world.git('.', 'lfs', 'install');
});
afterAll(() => world.close());

let models = 0;
async function newModel(): Promise<string> {
  const name = `lfs-${++models}`;
  await world.server.api('POST', '/api/v1/workspaces/default/models', { name });
  return name;
}

const write = (path: string, bytes: string | Uint8Array) => writeFile(join(world.dir, path), bytes);
const read = (path: string) => readFile(join(world.dir, path));
const version = async (model: string, number: number) =>
  (await world.server.api('GET', `/api/v1/workspaces/default/models/${model}/versions/${number}`)).body;
const files = async (model: string, number: number) =>
  (await world.server.api('GET', `/api/v1/workspaces/default/models/${model}/versions/${number}/files`)).body
    .items;

async function clone(model: string, dir = `${model}-clone`): Promise<string> {
  await world.git('.', 'clone', '-q', world.url(model), dir);
  return dir;
}

async function commitAll(dir: string, message: string): Promise<void> {
  await world.git(dir, 'add', '-A');
  await world.git(dir, 'commit', '-q', '-m', message);
}

test('large files go round by LFS without any configuration of the server’s address, and are the version’s files', async () => {
  const model = await newModel();
  const dir = await clone(model);
  const weights = randomBytes(3_000_000);
  await world.git(dir, 'lfs', 'track', '*.bin');
  await write(`${dir}/weights.bin`, weights);
  await write(`${dir}/README.md`, '# hello\n');
  await commitAll(dir, 'First');
  await world.git(dir, 'push', '-q', 'origin', 'HEAD:main');
  expect(await version(model, 1)).toMatchObject({
    status: 'READY',
    author: 'Ada Lovelace <ada@example.org>',
    pushedBy: 'admin',
    message: 'First',
    fileCount: 2,
    size: 3_000_008,
    source: { via: 'git' },
  });
  expect(
    (await files(model, 1)).map(({ path, size }: { path: string; size: number }) => [path, size]),
  ).toEqual([
    ['README.md', 8],
    ['weights.bin', 3_000_000],
  ]);
  const other = await clone(model, `${model}-other`);
  expect((await read(`${other}/weights.bin`)).equals(weights)).toBe(true);
  expect(await world.git(other, 'lfs', 'fsck')).toContain('OK');
  expect(await world.git(other, 'status', '--porcelain')).toBe('');
});

test('a version made by the API is pulled with its LFS files, and the next one pushed on top', async () => {
  const model = await newModel();
  const dir = await clone(model);
  const bytes = randomBytes(5000);
  await world.server.api('POST', `/api/v1/workspaces/default/models/${model}/versions`, {
    files: [{ path: 'w.onnx.bin', content: bytes.toString('base64') }],
  });
  await world.git(dir, 'pull', '-q', 'origin', 'main');
  expect((await read(`${dir}/w.onnx.bin`)).equals(bytes)).toBe(true);
  await write(`${dir}/w.onnx.bin`, randomBytes(6000));
  await commitAll(dir, 'Better');
  await world.git(dir, 'push', '-q', 'origin', 'HEAD:main');
  expect(await version(model, 2)).toMatchObject({ fileCount: 1, size: 6000 });
  await world.server.api('POST', `/api/v1/workspaces/default/models/${model}/versions`, {
    files: [{ path: 'w.onnx.bin', content: bytes.toString('base64') }],
  });
  await world.git(dir, 'pull', '-q', 'origin', 'main');
  expect((await read(`${dir}/w.onnx.bin`)).equals(bytes)).toBe(true);
  expect(await world.git(dir, 'fsck', '--strict')).toBe('');
});

test('own lines of .gitattributes stay when a version is made by the API, and what they name goes on to LFS', async () => {
  const model = await newModel();
  const dir = await clone(model);
  const own =
    '*.raw filter=lfs diff=lfs merge=lfs -text\n*.md filter=lfs diff=lfs merge=lfs -text\n# a remark\n';
  await write(`${dir}/.gitattributes`, own);
  await write(`${dir}/a.raw`, randomBytes(5000));
  await commitAll(dir, 'First');
  await world.git(dir, 'push', '-q', 'origin', 'HEAD:main');
  for (const text of ['one', 'two']) {
    const bytes = randomBytes(6000);
    await world.server.api('POST', `/api/v1/workspaces/default/models/${model}/versions`, {
      files: [
        { path: 'w.dat', content: bytes.toString('base64') },
        { path: 'README.md', text },
      ],
    });
    await world.git(dir, 'pull', '-q', 'origin', 'main');
    expect((await read(`${dir}/w.dat`)).equals(bytes)).toBe(true);
    expect((await read(`${dir}/README.md`)).toString()).toBe(text);
    // As Git reads it anew: nothing has changed.
    await world.git(dir, 'add', '--renormalize', '.');
    expect(await world.git(dir, 'status', '--porcelain')).toBe('');
    expect((await read(`${dir}/.gitattributes`)).toString().startsWith(own)).toBe(true);
    expect((await read(`${dir}/.gitattributes`)).toString().split('written by Cairn')).toHaveLength(2);
  }
  await write(`${dir}/b.raw`, randomBytes(5000));
  await commitAll(dir, 'Next');
  expect(await world.git(dir, 'show', 'HEAD:b.raw')).toContain('git-lfs.github.com/spec/v1');
  await world.git(dir, 'push', '-q', 'origin', 'HEAD:main');
  expect(await version(model, 4)).toMatchObject({ status: 'READY', fileCount: 3 });
  expect(await world.git(dir, 'fsck', '--strict')).toBe('');
});

test('a push whose LFS objects are missing is refused, naming the files; a branch takes it as work in progress', async () => {
  const model = await newModel();
  const dir = await clone(model);
  await world.git(dir, 'lfs', 'track', '*.bin');
  await mkdir(join(world.dir, dir, 'sub'));
  await write(`${dir}/sub/lost.bin`, randomBytes(1000));
  await commitAll(dir, 'Lost');
  const { status, stderr } = await world.tryGit(dir, ['push', '--no-verify', 'origin', 'HEAD:main']);
  expect([status, stderr]).toEqual([
    1,
    expect.stringContaining('the LFS objects of sub/lost.bin are missing'),
  ]);
  expect(stderr).toContain('remote: Send them with: git lfs push --all origin main');
  expect(
    (await world.server.api('GET', `/api/v1/workspaces/default/models/${model}/versions`)).body.items,
  ).toEqual([]);
  await world.git(dir, 'push', '-q', '--no-verify', 'origin', 'HEAD:refs/heads/wip');
  await world.git(dir, 'lfs', 'push', '--all', 'origin');
  await world.git(dir, 'push', '-q', '--no-verify', 'origin', 'HEAD:main');
  expect((await version(model, 1)).status).toBe('READY');
});

test('git lfs migrate import brings plain files to LFS, and the push takes them', async () => {
  const model = await newModel();
  const dir = await clone(model);
  await write(`${dir}/plain.dat`, randomBytes(200_000));
  await commitAll(dir, 'Plain');
  await world.git(dir, 'lfs', 'migrate', 'import', '--include=*.dat', '--everything', '--yes');
  await world.git(dir, 'push', '-q', 'origin', 'HEAD:main');
  expect(await world.git(dir, 'show', 'HEAD:plain.dat')).toContain('git-lfs.github.com/spec/v1');
  expect(await version(model, 1)).toMatchObject({ size: 200_000 });
});

test('GIT_LFS_SKIP_SMUDGE leaves pointers, and git lfs pull fetches what they stand for', async () => {
  const model = await newModel();
  const bytes = randomBytes(4000);
  await world.server.api('POST', `/api/v1/workspaces/default/models/${model}/versions`, {
    files: [{ path: 'a.bin', content: bytes.toString('base64') }],
  });
  const { status } = await world.tryGit('.', ['clone', '-q', world.url(model), 'skipped'], {
    GIT_LFS_SKIP_SMUDGE: '1',
  });
  expect([status, (await read('skipped/a.bin')).toString()]).toEqual([
    0,
    expect.stringContaining('size 4000'),
  ]);
  await world.git('skipped', 'lfs', 'pull');
  expect((await read('skipped/a.bin')).equals(bytes)).toBe(true);
});

test('bytes that are not what their name says are not taken', async () => {
  const model = await newModel();
  const sha = 'b'.repeat(64);
  const base = `${world.server.url}/default/${model}.git/info/lfs`;
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(path, {
      method: 'POST',
      headers: {
        authorization: `Basic ${btoa(`x:${TOKEN}`)}`,
        'content-type': 'application/vnd.git-lfs+json',
      },
      body: JSON.stringify(body),
    });
    // biome-ignore lint/suspicious/noExplicitAny: an answer of any shape
    return (await answer.json()) as any;
  };
  const batch = await post(`${base}/objects/batch`, {
    operation: 'upload',
    objects: [{ oid: sha, size: 5 }],
  });
  const { upload, verify } = batch.objects[0].actions;
  expect((await fetch(upload.href, { method: 'PUT', body: 'hello' })).status).toBe(200);
  const refused = await fetch(verify.href, {
    method: 'POST',
    headers: verify.header,
    body: JSON.stringify({ oid: sha, size: 5 }),
  });
  expect([refused.status, await refused.text()]).toEqual([422, expect.stringContaining('SHA-256')]);
  const again = await post(`${base}/objects/batch`, {
    operation: 'download',
    objects: [{ oid: sha, size: 5 }],
  });
  expect(again.objects[0].error.code).toBe(404);
});

test('a client that can sends a large object in parts, and needs no token to put them together', async () => {
  const model = await newModel();
  const base = `${world.server.url}/default/${model}.git/info/lfs`;
  const bytes = randomBytes(70 * 1024 * 1024);
  const oid = createHash('sha256').update(bytes).digest('hex');
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  const token = { authorization: `Bearer ${TOKEN}` };
  const object = { oid, size: bytes.length };
  const asked = { operation: 'upload', transfers: ['basic', 'multipart'], objects: [object] };
  // biome-ignore lint/suspicious/noExplicitAny: an answer of any shape
  const batch = (await (await post(`${base}/objects/batch`, asked, token)).json()) as any;
  expect(batch.transfer).toBe('multipart');
  const { upload, verify } = batch.objects[0].actions;
  const { chunk_size: size, ...parts } = upload.header;
  expect(Object.keys(parts)).toEqual(['00001', '00002']);
  const part = (number: number) => bytes.subarray((number - 1) * Number(size), number * Number(size));
  const done: { partNumber: number; etag: string | null }[] = [];
  for (const [number, url] of Object.entries(parts)) {
    if (done.length === 1) expect((await post(upload.href, { oid, parts: done })).status).toBe(409);
    const { headers } = await fetch(String(url), {
      method: 'PUT',
      body: new Uint8Array(part(Number(number))),
    });
    done.push({ partNumber: Number(number), etag: headers.get('etag') });
  }
  expect((await post(upload.href.replace(/.$/, 'x'), {})).status).toBe(401);
  expect((await post(upload.href.replace(/[0-9a-f]{32}$/, 'a'.repeat(32)), {})).status).toBe(404);
  expect((await post(upload.href, { oid, parts: done })).status).toBe(200);
  expect((await post(verify.href, object, verify.header)).status).toBe(200);
  const download = await post(`${base}/objects/batch`, { ...asked, operation: 'download' }, token);
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const there = (await download.json()) as any;
  const answer = await fetch(there.objects[0].actions.download.href);
  expect(Buffer.from(await answer.arrayBuffer()).equals(bytes)).toBe(true);
});

test('locks are taken, seen by others, and taken away by force only with a higher role', async () => {
  const model = await newModel();
  const dir = await clone(model);
  await write(`${dir}/a.bin`, 'x');
  await commitAll(dir, 'x');
  await world.git(dir, 'push', '-q', 'origin', 'HEAD:main');
  await world.git(dir, 'lfs', 'lock', 'a.bin');
  const { body } = await world.server.api('POST', '/api/v1/tokens', {
    principal: 'grace',
    grants: [{ role: 'contributor', workspace: 'default', models: model }],
  });
  await world.git('.', 'clone', '-q', world.url(model, body.token), 'of-grace');
  const asGrace = (...args: string[]) => world.tryGit('of-grace', ['lfs', ...args]);
  expect((await asGrace('locks', '--verify')).stdout).toMatch(/^ +a\.bin\tadmin/);
  expect((await asGrace('lock', 'a.bin')).stderr).toContain('locked by admin');
  expect((await asGrace('unlock', '--force', 'a.bin')).stderr).toContain('deployer');
  await world.git(dir, 'lfs', 'unlock', 'a.bin');
  expect(await world.git(dir, 'lfs', 'locks')).toBe('');
});

test('Git LFS’ own check of a server passes whole', async () => {
  const model = await newModel();
  const program = join(import.meta.dirname, '../../.peers/bin/git-lfs-test-server-api');
  const dir = await clone(model);
  await world.git(dir, 'config', 'lfs.url', `${world.url(model)}/info/lfs`);
  const { code, output } = await new Promise<{ code: number; output: string }>((resolve) => {
    execFile(
      program,
      ['--url', `${world.url(model)}/info/lfs`],
      { cwd: join(world.dir, dir), env: { PATH: process.env.PATH, HOME: world.dir }, timeout: 200_000 },
      (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code ?? 1) : 0, output: stdout + stderr }),
    );
  });
  expect([code, output]).toEqual([0, expect.stringContaining('All tests passed')]);
  expect(output).not.toContain('FAIL');
});
