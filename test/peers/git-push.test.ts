import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pkt } from '../../functions/api/git/pkt-line.ts';
import { gitObject } from '../../shared/registry/git/object.ts';
import { packHeader, writePack } from '../../shared/registry/git/pack.ts';
import { entryHeader } from '../../shared/registry/git/pack-entry.ts';
import { linearHistory } from '../../tools/git-history.ts';
import { TOKEN } from '../support/server.ts';
import { type GitWorld, openGitWorld, runGit } from './git.ts';

let world: GitWorld;
beforeAll(async () => {
  world = await openGitWorld({}, { GIT_LFS_SKIP_SMUDGE: '1' });
});
afterAll(() => world.close());

const API = '/api/v1/workspaces/default/models';
let models = 0;

/** A model and a clone of it with one commit, not yet pushed. */
async function cloneOfNew(): Promise<{ model: string; dir: string }> {
  const model = `push-${++models}`;
  await world.server.api('POST', API, { name: model });
  await world.git('.', 'clone', '-q', world.url(model), model);
  await write(`${model}/a.txt`, 'one\n');
  await commitAll(model, 'one');
  return { model, dir: model };
}

const write = (path: string, text: string | Uint8Array) => writeFile(join(world.dir, path), text);
async function commitAll(dir: string, message: string): Promise<void> {
  await world.git(dir, 'add', '-A');
  await world.git(dir, 'commit', '-q', '-m', message);
}
const push = (dir: string, ...args: string[]) => world.tryGit(dir, ['push', 'origin', ...args]);
const versions = async (model: string) =>
  (await world.server.api('GET', `${API}/${model}/versions`)).body.items;
const remoteRefs = async (dir: string) =>
  (await world.git(dir, 'ls-remote', 'origin'))
    .trim()
    .split('\n')
    .map((line) => line.split('\t')[1]);

test('a push to main makes one version of its tip, the commits between are history, and it says so', async () => {
  const { model, dir } = await cloneOfNew();
  await write(`${dir}/a.txt`, 'two\n');
  await commitAll(dir, 'two\n\nand why');
  const { status, stderr } = await push(dir, 'HEAD:main');
  expect([status, stderr]).toEqual([
    0,
    expect.stringContaining(`remote: ${model}@1 is READY: 1 file, 4 bytes.`),
  ]);
  const [version, ...others] = await versions(model);
  expect(others).toEqual([]);
  expect(version).toMatchObject({
    version: 1,
    message: 'two\n\nand why',
    author: 'Ada Lovelace <ada@example.org>',
    pushedBy: 'admin',
  });
  expect(version.commit).toBe((await world.git(dir, 'rev-parse', 'HEAD')).trim());
  expect(await world.git(dir, 'rev-list', '--count', 'HEAD')).toBe('2\n');
  const answer = await fetch(`${world.server.url}${API}/${model}/versions/1/files/a.txt`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  expect(await answer.text()).toBe('two\n');
});

test('who pushed a version cannot approve it, whoever the commit says its author is', async () => {
  const { model, dir } = await cloneOfNew();
  await push(dir, 'HEAD:main');
  const { status, body } = await world.server.api('POST', `${API}/${model}/versions/1/approval`, {
    state: 'APPROVED',
  });
  expect([status, body.code]).toEqual([403, 'SELF_APPROVAL']);
});

test('links, submodules and odd names stay in Git, are named, and are no files of the version', async () => {
  const { model, dir } = await cloneOfNew();
  await symlink('a.txt', join(world.dir, dir, 'link'));
  await write(`${dir}/.gitignore`, 'x\n');
  await world.git(dir, 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},sub`);
  await commitAll(dir, 'odd');
  await world.git(dir, 'update-index', '--add', '--cacheinfo', `160000,${'1'.repeat(40)},sub`);
  await world.git(dir, 'commit', '-q', '--amend', '-m', 'odd');
  const { stderr } = await push(dir, 'HEAD:main');
  expect(stderr).toContain('"link" (a symbolic link) stays in Git');
  expect(stderr).toContain('"sub" (a submodule) stays in Git');
  const { body } = await world.server.api('GET', `${API}/${model}/versions/1/files`);
  expect(body.items.map(({ path }: { path: string }) => path)).toEqual(['.gitignore', 'a.txt']);
});

test('main moves forward only: no force, no deletion; v<number> tags and aliases are not a push’s to move', async () => {
  const { model, dir } = await cloneOfNew();
  await push(dir, 'HEAD:main');
  await world.server.api('PUT', `${API}/${model}/aliases/champion`, { version: 1 });
  await world.git(dir, 'commit', '-q', '--amend', '-m', 'other');
  for (const [args, reason] of [
    [['--force', 'HEAD:main'], 'main only moves forward'],
    [[':main'], 'cannot be deleted'],
    [['HEAD:refs/tags/v2'], 'v<number> tags are the versions’ own'],
    [['--force', 'HEAD:refs/tags/v1'], 'v<number> tags are the versions’ own'],
    [[':refs/tags/v1'], 'v<number> tags are the versions’ own'],
    [['--force', 'HEAD:refs/aliases/champion'], 'aliases are moved by `cairn alias`'],
    [['HEAD:refs/pull/1/head'], 'only branches, tags and notes are kept'],
  ] as const) {
    const { status, stderr } = await push(dir, ...args);
    expect([args, status, stderr]).toEqual([args, 1, expect.stringContaining(reason)]);
  }
  expect(await remoteRefs(dir)).toEqual(['HEAD', 'refs/aliases/champion', 'refs/heads/main', 'refs/tags/v1']);
});

test('branches are work in progress: stored, moved, deleted; who may only contribute does not rewrite them', async () => {
  const { model, dir } = await cloneOfNew();
  const { body } = await world.server.api('POST', '/api/v1/tokens', {
    principal: 'grace',
    grants: [{ role: 'contributor', workspace: 'default', models: model }],
  });
  await world.git(dir, 'remote', 'add', 'grace', world.url(model, body.token));
  const asGrace = (...args: string[]) => world.tryGit(dir, ['push', 'grace', ...args]);
  expect((await asGrace('HEAD:master')).stderr).toContain('git push origin master:main');
  await write(`${dir}/a.txt`, 'two\n');
  await commitAll(dir, 'two');
  expect((await asGrace('HEAD:master', 'HEAD~1:refs/tags/light')).status).toBe(0);
  expect((await asGrace('--force', 'HEAD~1:master')).stderr).toContain('needs the role "deployer"');
  expect((await asGrace(':master')).stderr).toContain('needs the role "deployer"');
  expect((await asGrace('--force', 'HEAD:refs/tags/light')).stderr).toContain('needs the role "deployer"');
  expect((await push(dir, '--force', 'HEAD~1:master')).status).toBe(0);
  expect((await push(dir, ':master', ':refs/tags/light')).status).toBe(0);
  expect(await versions(model)).toEqual([]);
  const { body: viewer } = await world.server.api('POST', '/api/v1/tokens', {
    principal: 'eve',
    grants: [{ role: 'viewer', workspace: 'default', models: model }],
  });
  const refused = await world.tryGit(dir, ['push', world.url(model, viewer.token), 'HEAD:x']);
  expect([refused.status, refused.stderr]).toEqual([
    128,
    expect.stringContaining('needs the role "contributor"'),
  ]);
  expect((await world.tryGit(dir, ['ls-remote', world.url(model, viewer.token)])).status).toBe(0);
});

test('an atomic push does all or nothing; one that is not does what it may', async () => {
  const { dir } = await cloneOfNew();
  const { status, stderr } = await push(dir, '--atomic', 'HEAD:main', 'HEAD:x', 'HEAD:refs/tags/v7');
  expect([status, stderr]).toEqual([1, expect.stringContaining('atomic push')]);
  expect(await world.git(dir, 'ls-remote', 'origin')).toBe('');
  expect((await push(dir, 'HEAD:main', 'HEAD:x', 'HEAD:refs/tags/v7')).status).toBe(1);
  expect(await remoteRefs(dir)).toEqual(['HEAD', 'refs/heads/main', 'refs/heads/x', 'refs/tags/v1']);
  // Names that cannot stand beside each other, unless the first goes in the same push.
  expect((await push(dir, 'HEAD:refs/heads/x/y')).stderr).toContain('cannot stand beside');
  expect((await push(dir, ':x', 'HEAD:refs/heads/x/y')).status).toBe(0);
});

test('of many who push at once each makes a version in turn, or is told to fetch', async () => {
  const { model, dir } = await cloneOfNew();
  await push(dir, 'HEAD:main');
  const racers = await Promise.all(
    Array.from({ length: 8 }, async (_, n) => {
      const clone = `${dir}-racer-${n}`;
      await world.git('.', 'clone', '-q', world.url(model), clone);
      await write(`${clone}/${n}.txt`, `${n}`);
      await commitAll(clone, `racer ${n}`);
      return clone;
    }),
  );
  const answers = await Promise.all(racers.map((clone) => push(clone, 'HEAD:main')));
  expect(answers.filter(({ status }) => status === 0)).toHaveLength(1);
  for (const { status, stderr } of answers)
    if (status !== 0) expect(stderr).toMatch(/fetch first|main only moves forward|cannot lock/);
  expect(await versions(model)).toHaveLength(2);
  for (const clone of racers) {
    for (;;) {
      if ((await push(clone, 'HEAD:main')).status === 0) break;
      await world.git(clone, 'pull', '-q', '--rebase');
    }
  }
  expect(await versions(model)).toHaveLength(9);
});

test('a clone that is shallow can push; one whose history Cairn lacks cannot, and is told what to do', async () => {
  const { model, dir } = await cloneOfNew();
  for (let n = 0; n < 5; n++) {
    await write(`${dir}/a.txt`, `${n}\n`);
    await commitAll(dir, `${n}`);
  }
  await push(dir, 'HEAD:main');
  await world.git('.', 'clone', '-q', '--depth=1', world.url(model), `${dir}-shallow`);
  await write(`${dir}-shallow/b.txt`, 'b');
  await commitAll(`${dir}-shallow`, 'on top');
  expect((await push(`${dir}-shallow`, 'HEAD:main')).status).toBe(0);
  expect(await world.git('.', 'ls-remote', world.url(model))).toContain('refs/tags/v2');
  await world.git('.', 'clone', '-q', world.url(model), `${dir}-whole`);
  expect(await world.git(`${dir}-whole`, 'rev-list', '--count', 'HEAD')).toBe('7\n');
  const other = `push-${++models}`;
  await world.server.api('POST', API, { name: other });
  const { status, stderr } = await world.tryGit(`${dir}-shallow`, ['push', world.url(other), 'HEAD:main']);
  expect([status, stderr]).toEqual([1, expect.stringContaining('git fetch --unshallow')]);
});

test('a push over the limit is refused with what to type', async () => {
  const small = await openGitWorld({ CAIRN_PUSH_LIMIT_MB: '4' });
  try {
    await small.server.api('POST', API, { name: 'm' });
    await small.git('.', 'clone', '-q', small.url('m'), 'm');
    await writeFile(join(small.dir, 'm/large.bin'), randomBytes(6_000_000));
    await small.git('m', 'add', '-A');
    await small.git('m', 'commit', '-q', '-m', 'large');
    const { status, stderr } = await small.tryGit('m', ['push', 'origin', 'HEAD:main']);
    expect([status, stderr]).toEqual([1, expect.stringContaining('git lfs track')]);
    expect(stderr).toContain('git lfs migrate import');
    expect(await small.git('m', 'ls-remote', 'origin')).toBe('');
  } finally {
    await small.close();
  }
});

/** A push as a client of one's own would send it. */
async function rawPush(model: string, name: string, to: string, pack: Uint8Array, cut?: number) {
  const body = Buffer.concat([
    pkt(`${'0'.repeat(40)} ${to} ${name}\0report-status`),
    Buffer.from('0000'),
    pack,
  ]);
  const answer = await fetch(`${world.server.url}/default/${model}.git/git-receive-pack`, {
    method: 'POST',
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/x-git-receive-pack-request' },
    body: body.subarray(0, cut ?? body.length),
  });
  return answer.text();
}

test('a pack that is damaged, cut off, incomplete or against fsck is refused and leaves nothing', async () => {
  const { model, dir } = await cloneOfNew();
  const who = 'Ada <ada@example.org> 1 +0000';
  const blob = gitObject('blob', Buffer.from('x'));
  const tree = (name: string, oid = blob.oid) =>
    gitObject('tree', Buffer.concat([Buffer.from(`100644 ${name}\0`), Buffer.from(oid, 'hex')]));
  const commit = (oid: string, parent = '') =>
    gitObject('commit', Buffer.from(`tree ${oid}\n${parent}author ${who}\ncommitter ${who}\n\nm\n`));
  const good = tree('a');
  const tip = commit(good.oid);
  const whole = writePack([blob, good, tip]).bytes;
  const damaged = Buffer.from(whole);
  damaged[damaged.length - 30] = (damaged[damaged.length - 30] ?? 0) ^ 1;
  const evil = tree('.git');
  const lost = commit(good.oid, `parent ${'3'.repeat(40)}\n`);
  const bombBody = Buffer.concat([
    packHeader(1),
    entryHeader('blob', 2 ** 40),
    deflateSync(Buffer.alloc(10_000_000)),
  ]);
  const bomb = Buffer.concat([bombBody, createHash('sha1').update(bombBody).digest()]);
  for (const [to, pack, reason, cut] of [
    [tip.oid, damaged, 'checksum is wrong'],
    [tip.oid, whole, 'checksum is wrong', 200],
    [tip.oid, writePack([good, tip]).bytes, `blob ${blob.oid} is missing`],
    [lost.oid, writePack([blob, good, lost]).bytes, `commit ${'3'.repeat(40)} is missing`],
    [commit(evil.oid).oid, writePack([blob, evil, commit(evil.oid)]).bytes, 'hasDotgit'],
    [tip.oid, bomb, 'at most'],
    ['4'.repeat(40), whole, 'was not sent'],
    [good.oid, whole, 'a branch names a commit, not a tree'],
  ] as const) {
    expect(await rawPush(model, 'refs/heads/x', to, pack, cut)).toContain(reason);
  }
  expect(await world.git(dir, 'ls-remote', 'origin')).toBe('');
  expect(await rawPush(model, 'refs/heads/x', tip.oid, whole)).toContain('ok refs/heads/x');
  expect(await readdir(join(world.dir, 'data'))).toContain('blobs');
});

test('5,000 refs go in one push, and a history of many commits in another', async () => {
  const { model, dir } = await cloneOfNew();
  const stream = linearHistory(2000, 20).replaceAll('refs/heads/main', 'refs/heads/long');
  await runGit(world.dir, join(world.dir, dir), ['fast-import', '--quiet', '--done'], {}, stream);
  const commits = (await world.git(dir, 'rev-list', 'long')).trim().split('\n');
  const updates = Array.from(
    { length: 5000 },
    (_, n) => `create refs/tags/t/${n} ${commits[n % commits.length]}\n`,
  );
  await runGit(world.dir, join(world.dir, dir), ['update-ref', '--stdin'], {}, updates.join(''));
  expect((await push(dir, 'long:main', '--tags')).status).toBe(0);
  expect((await remoteRefs(dir)).filter((name) => name?.startsWith('refs/tags/t/'))).toHaveLength(5000);
  await mkdir(join(world.dir, 'again'));
  await world.git('.', 'clone', '-q', '--mirror', world.url(model), 'again/m.git');
  expect(await world.git('again/m.git', 'rev-list', '--count', '--all')).toBe('2000\n');
  expect(await world.git('again/m.git', 'fsck', '--strict')).toBe('');
  // A version by the API goes on where the push ended, and the refs stay.
  await world.server.api('POST', `${API}/${model}/versions`, { files: [{ path: 'b.txt', text: 'b' }] });
  expect((await remoteRefs(dir)).filter((name) => name?.startsWith('refs/tags/'))).toHaveLength(5002);
  await world.git('again/m.git', 'fetch', '-q');
  expect(await world.git('again/m.git', 'rev-list', '--count', 'main')).toBe('2001\n');
  expect(await world.git('again/m.git', 'fsck', '--strict')).toBe('');
});

test('a model that somebody deletes while it is pushed to: the push says so, and leaves nothing', async () => {
  const { model, dir } = await cloneOfNew();
  const address = `${world.server.url}${API}/${model}`;
  // Git runs this when it has asked for the refs and not yet sent anything.
  const hook = `#!/bin/sh\ncurl -fsS -X DELETE -H 'Authorization: Bearer ${TOKEN}' '${address}'\n`;
  await writeFile(join(world.dir, dir, '.git/hooks/pre-push'), hook, { mode: 0o755 });
  const { status, stderr } = await push(dir, 'HEAD:main');
  expect(status).not.toBe(0);
  expect(stderr).toContain(`There is no model "${model}"`);
  expect((await world.server.api('GET', `${API}/${model}`)).status).toBe(404);
  await world.server.api('POST', API, { name: model });
  expect(await versions(model)).toEqual([]);
  expect((await push(dir, '--no-verify', 'HEAD:main')).status).toBe(0);
});
