import { execFileSync } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createVersion } from '../../shared/registry/create-version.ts';
import { exportBundle } from '../../shared/registry/export.ts';
import { createModel } from '../../shared/registry/model.ts';
import { deleteVersion } from '../../shared/registry/version.ts';
import { type LocalPorts, openLocalPorts, someone } from '../support/local-ports.ts';

const ada = someone('ada <lovelace>', 'admin');
const ref = { workspace: 'default', name: 'digits & more' };

let ports: LocalPorts;
beforeEach(async () => {
  ports = await openLocalPorts();
  await createModel(ports, ada, { ...ref, description: '', tags: {} });
});
afterEach(() => ports.close());

const push = (message: string, files: Record<string, string | Uint8Array>) =>
  createVersion(
    ports,
    ada,
    ref,
    { message, description: '', tags: {}, source: { via: 'api' } },
    Object.entries(files).map(([path, bytes]) => ({ path, bytes: Buffer.from(bytes) })),
  );

/** Runs git as if nobody had ever configured it, and without fetching LFS objects. */
function git(dir: string, ...args: string[]): string {
  return execFileSync('git', args, {
    cwd: dir,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: ports.dir, GIT_CONFIG_NOSYSTEM: '1', GIT_LFS_SKIP_SMUDGE: '1' },
  });
}

async function cloneExport(): Promise<string> {
  await pipeline(await exportBundle(ports, ada, ref), createWriteStream(join(ports.dir, 'model.bundle')));
  git(ports.dir, 'clone', '-q', 'model.bundle', 'clone');
  const clone = join(ports.dir, 'clone');
  git(clone, 'bundle', 'verify', '-q', '../model.bundle');
  return clone;
}

test('git clones an exported repository: history, tags, text and LFS pointers, and fsck finds nothing', async () => {
  const binary = Buffer.from([0xff, 0xfe, 0]);
  await push('', { 'README.md': '# one\n', 'weights.bin': binary, 'sub/notes [1].txt': 'a b' });
  await push('The second\n\nwith a body', {
    'README.md': '# two\n',
    'weights.bin': binary,
    'sub/w x*.bin': binary,
    'sub-x': '1',
    'sub.x': '2',
  });
  await push('Back to the first', { 'README.md': '# one\n', 'ünï/ço dé.bin': binary });
  const clone = await cloneExport();
  expect(git(clone, 'fsck', '--strict', '--full')).toBe('');
  expect(git(clone, 'rev-list', '--count', 'main').trim()).toBe('3');
  expect(git(clone, 'tag').trim().split('\n')).toEqual(['v1', 'v2', 'v3']);
  expect(git(clone, 'log', '--format=%an|%s', 'main').trim().split('\n')).toEqual([
    'ada lovelace|Back to the first',
    'ada lovelace|The second',
    'ada lovelace|Version 1',
  ]);
  expect(git(clone, 'show', 'v2:README.md')).toBe('# two\n');
  expect(git(clone, 'show', 'v1:weights.bin')).toMatch(
    /^version https:\/\/git-lfs.*\noid sha256:[0-9a-f]{64}\nsize 3\n$/,
  );
  expect(git(clone, 'status', '--porcelain')).toBe('');
  const attributes = (tag: string, path: string) => {
    git(clone, 'checkout', '-q', tag);
    return git(clone, 'check-attr', 'filter', path).trim();
  };
  expect(attributes('v2', 'sub/w x*.bin')).toMatch(/: lfs$/);
  expect(attributes('v2', 'sub/w xyz.bin')).toMatch(/: unspecified$/);
  expect(attributes('v1', 'README.md')).toMatch(/: unspecified$/);
  expect(git(clone, '-c', 'core.quotePath=false', 'check-attr', 'filter', 'sub/w x*.bin')).not.toBe('');
  git(clone, 'checkout', '-q', 'v3');
  expect(git(clone, '-c', 'core.quotePath=false', 'check-attr', 'filter', 'ünï/ço dé.bin').trim()).toMatch(
    /: lfs$/,
  );
});

test('a repository of many versions and of packs too large for an item exports whole', async () => {
  const files = Object.fromEntries(
    Array.from({ length: 1200 }, (_, n) => [`part/${n % 7}/${n}.txt`, `text ${n}`]),
  );
  await push('many files', files);
  for (let n = 0; n < 120; n++) await push(`change ${n}`, { ...files, 'changing.txt': `${n}` });
  await deleteVersion(ports, ada, { ...ref, number: 5 });
  const clone = await cloneExport();
  expect(git(clone, 'fsck', '--strict', '--full')).toBe('');
  expect(git(clone, 'rev-list', '--count', 'main').trim()).toBe('121');
  expect(git(clone, 'tag').trim().split('\n')).toHaveLength(121);
  expect(git(clone, 'show', 'v121:changing.txt')).toBe('119');
  expect(git(clone, 'ls-tree', '-r', '--name-only', 'v1').trim().split('\n')).toHaveLength(1200);
});

test('a model without a version has nothing to clone, and says so', async () => {
  await expect(exportBundle(ports, ada, ref)).rejects.toMatchObject({ code: 'VERSION_NOT_FOUND' });
});
