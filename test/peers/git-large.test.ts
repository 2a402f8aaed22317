import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { linearHistory } from '../../tools/git-history.ts';
import { type GitWorld, openGitWorld, runGit } from './git.ts';

let world: GitWorld;
beforeAll(async () => {
  world = await openGitWorld({}, { GIT_LFS_SKIP_SMUDGE: '1' });
});
afterAll(() => world.close());

async function imported(name: string, commits: number, files: number): Promise<void> {
  await world.server.api('POST', '/api/v1/workspaces/default/models', { name });
  await world.git('.', 'init', '-q', '-b', 'main', name);
  const { status } = await runGit(
    world.dir,
    join(world.dir, name),
    ['fast-import', '--quiet', '--done'],
    {},
    linearHistory(commits, files),
  );
  expect(status).toBe(0);
}

test('10,000 commits are pushed and cloned whole', async () => {
  await imported('commits', 10_000, 50);
  await world.git('commits', 'push', '-q', world.url('commits'), 'main');
  await world.git('.', 'clone', '-q', '--bare', world.url('commits'), 'commits.git');
  expect(await world.git('commits.git', 'fsck', '--strict')).toBe('');
  expect(await world.git('commits.git', 'rev-list', '--count', '--all')).toBe('10000\n');
  await world.git('.', 'clone', '-q', '--bare', '--depth=100', world.url('commits'), 'few.git');
  expect(await world.git('few.git', 'rev-list', '--count', '--all')).toBe('100\n');
  await world.git('few.git', 'fetch', '-q', '--unshallow');
  expect(await world.git('few.git', 'rev-list', '--count', '--all')).toBe('10000\n');
  await world.server.api('POST', '/api/v1/workspaces/default/models/commits/versions', {
    files: [{ path: 'a', text: 'b' }],
  });
  await world.git('commits.git', 'fetch', '-q', 'origin', 'main:main');
  expect(await world.git('commits.git', 'rev-list', '--count', 'main')).toBe('10001\n');
});

test('50,000 files are one version, and a commit that changes one of them the next', async () => {
  await imported('files', 1, 50_000);
  await world.git('files', 'push', '-q', world.url('files'), 'main');
  await world.git('.', 'clone', '-q', '--no-checkout', world.url('files'), 'files-clone');
  expect(
    (await world.git('files-clone', 'ls-tree', '-r', '--name-only', 'origin/main')).trim().split('\n'),
  ).toHaveLength(50_000);
  expect(await world.git('files-clone', 'fsck', '--strict')).toBe('');
  await world.git('files-clone', 'read-tree', 'HEAD');
  await world.git('files-clone', 'rm', '-q', '--cached', 'part1/file1.txt');
  await world.git('files-clone', 'commit', '-q', '-m', 'one less');
  await world.git('files-clone', 'push', '-q', 'origin', 'HEAD:main');
  const { body } = await world.server.api('GET', '/api/v1/workspaces/default/models/files/versions');
  expect(body.items.map(({ fileCount }: { fileCount: number }) => fileCount)).toEqual([49_999, 50_000]);
});
