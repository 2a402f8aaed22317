import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { linearHistory, strangeHistory } from '../../tools/git-history.ts';
import { startHttpBackend } from '../../tools/git-http-backend.ts';
import { type GitWorld, openGitWorld, runGit } from './git.ts';

/** The same is done to Cairn and to Git's own server, in both versions of the protocol, and what clients get is compared. */

let world: GitWorld;
let backend: Awaited<ReturnType<typeof startHttpBackend>>;
beforeAll(async () => {
  world = await openGitWorld({}, { GIT_LFS_SKIP_SMUDGE: '1' });
  backend = await startHttpBackend(world.dir);
});
afterAll(async () => {
  await backend.close();
  await world.close();
});

let count = 0;

/** A model of ours, a bare repository of Git's, and an empty one to push from. */
async function twins() {
  const name = `twin-${++count}`;
  await world.server.api('POST', '/api/v1/workspaces/default/models', { name });
  await world.git('.', 'init', '-q', '--bare', '-b', 'main', `${name}.git`);
  for (const [key, value] of [
    ['http.receivepack', 'true'],
    ['uploadpack.allowFilter', 'true'],
    ['uploadpack.allowAnySHA1InWant', 'true'],
  ])
    await world.git(`${name}.git`, 'config', key ?? '', value ?? '');
  await world.git('.', 'init', '-q', '-b', 'main', `${name}-src`);
  return { src: `${name}-src`, ours: world.url(name), gits: `${backend.url}/${name}.git`, name };
}

async function fastImport(dir: string, stream: string | Buffer): Promise<void> {
  const { status, stderr } = await runGit(
    world.dir,
    join(world.dir, dir),
    ['fast-import', '--quiet', '--done', '--force'],
    {},
    stream,
  );
  if (status !== 0) throw new Error(stderr);
}

/** Refs but those that only Cairn has: the versions' tags and aliases. */
async function refsOf(dir: string): Promise<string[]> {
  const refs = (await world.git(dir, 'for-each-ref', '--format=%(objectname) %(objecttype) %(refname)'))
    .trim()
    .split('\n');
  return refs.filter((line) => !/ refs\/(tags\/v\d+|aliases\/.*)$/.test(line));
}

async function objectsOf(dir: string): Promise<string[]> {
  return (await world.git(dir, 'cat-file', '--batch-all-objects', '--batch-check')).trim().split('\n').sort();
}

async function expectSame(ours: string, gits: string): Promise<void> {
  expect(await world.git(ours, 'fsck', '--strict', '--full', '--no-dangling')).toBe('');
  expect(await refsOf(ours)).toEqual(await refsOf(gits));
  expect(await objectsOf(ours)).toEqual(await objectsOf(gits));
  expect(await world.git(ours, 'rev-list', '--count', '--all')).toBe(
    await world.git(gits, 'rev-list', '--count', '--all'),
  );
}

const protocol = (version: number) => ['-c', `protocol.version=${version}`];

test.each([0, 2])(
  'a history of everything that Git can hold comes back object for object (protocol %i)',
  async (version) => {
    const { src, ours, gits, name } = await twins();
    await fastImport(src, strangeHistory());
    const tree = (await world.git(src, 'rev-parse', 'main^{tree}')).trim();
    await world.git(src, 'tag', '-a', '-m', 'a tree', 'of-a-tree', tree);
    await world.git(src, 'tag', '-a', '-m', 'a tag', 'of-a-tag', 'annotated');
    await world.git(src, 'notes', 'add', '-m', 'a note', 'main');
    for (const url of [ours, gits]) await world.git(src, ...protocol(version), 'push', '-q', '--mirror', url);
    for (const [dir, url] of [
      ['ours', ours],
      ['gits', gits],
    ])
      await world.git('.', ...protocol(version), 'clone', '-q', '--mirror', url ?? '', `${name}-${dir}`);
    await expectSame(`${name}-ours`, `${name}-gits`);
    const said = await world.tryGit(src, ['push', ours, 'main:refs/heads/again']);
    expect(said.status).toBe(0);
  },
);

test.each([0, 2])(
  'shallow and partial clones have what Git’s own server gives them (protocol %i)',
  async (version) => {
    const { src, ours, gits, name } = await twins();
    await fastImport(src, strangeHistory());
    await fastImport(src, linearHistory(16, 12).replaceAll('refs/heads/main', 'refs/heads/long'));
    for (const url of [ours, gits]) await world.git(src, 'push', '-q', '--all', url);
    for (const url of [ours, gits]) await world.git(src, 'push', '-q', '--tags', url);
    const run = async (dir: string, ...args: string[]) => {
      for (const side of ['ours', 'gits'])
        await world.git(`${name}-${side}-${dir}`, ...protocol(version), ...args);
    };
    const clone = async (dir: string, ...args: string[]) => {
      for (const [side, url] of [
        ['ours', ours],
        ['gits', gits],
      ])
        await world.git(
          '.',
          ...protocol(version),
          'clone',
          '-q',
          ...args,
          url ?? '',
          `${name}-${side}-${dir}`,
        );
    };
    const same = async (dir: string) => {
      const [a, b] = [`${name}-ours-${dir}`, `${name}-gits-${dir}`];
      const commits = (where: string) => world.git(where, 'rev-list', '--all', '--date-order');
      expect((await commits(a)).split('\n').sort()).toEqual((await commits(b)).split('\n').sort());
      const has = (where: string) =>
        world.git(where, 'rev-list', '--objects', '--all', '--missing=allow-any');
      expect((await has(a)).split('\n').sort()).toEqual((await has(b)).split('\n').sort());
      expect(await world.git(a, 'fsck', '--connectivity-only', '--no-dangling')).toBe('');
    };
    await clone('shallow', '--depth=3', '--no-single-branch');
    await same('shallow');
    for (const step of [
      '--deepen=2',
      '--depth=4',
      '--shallow-since=1700000004',
      '--shallow-exclude=a',
      '--deepen=1',
      '--unshallow',
    ]) {
      await run('shallow', 'fetch', '-q', step);

      await same('shallow');
    }
    for (const filter of [
      'blob:none',
      'blob:limit=3',
      'tree:0',
      'tree:2',
      'combine:blob:none+tree:3',
      'object:type=commit',
    ]) {
      const dir = filter.replaceAll(/\W/g, '-');
      await clone(dir, `--filter=${filter}`, '--no-checkout');
      const missing = (side: string) =>
        world.git(`${name}-${side}-${dir}`, 'rev-list', '--objects', '--all', '--missing=print');
      const lost = async (side: string) =>
        (await missing(side))
          .split('\n')
          .filter((line) => line.startsWith('?'))
          .sort();
      expect(await lost('ours')).toEqual(await lost('gits'));
      // Fetches what is missing, object by object and tree by tree.
      const log = (side: string) =>
        world.git(`${name}-${side}-${dir}`, 'log', '-p', '-m', '--format=%H', 'origin/main', 'origin/long');
      expect(await log('ours')).toBe(await log('gits'));
    }
  },
);

test('a clone without tags follows those of what it fetches', async () => {
  const { src, ours, gits, name } = await twins();
  await fastImport(src, strangeHistory());
  for (const url of [ours, gits]) await world.git(src, 'push', '-q', '--mirror', url);
  for (const version of [0, 2]) {
    for (const [side, url] of [
      ['ours', ours],
      ['gits', gits],
    ]) {
      const dir = `${name}-${side}-${version}`;
      await world.git('.', 'init', '-q', dir);
      await world.git(dir, 'remote', 'add', 'origin', url ?? '');
      await world.git(dir, ...protocol(version), 'fetch', '-q', 'origin', 'b');
      await world.git(dir, ...protocol(version), 'fetch', '-q', 'origin', 'main');
    }
    await expectSame(`${name}-ours-${version}`, `${name}-gits-${version}`);
  }
});

/** One round of work: commits on branches, merges, new, moved and deleted refs. */
interface Round {
  readonly commits: readonly {
    branch: number;
    parents: readonly number[];
    file: number;
    text: number;
    executable: boolean;
  }[];
  readonly tags: readonly number[];
  readonly drop: readonly number[];
  readonly rewind: readonly number[];
}

const rounds = fc.array(
  fc.record({
    commits: fc.array(
      fc.record({
        branch: fc.nat(3),
        parents: fc.array(fc.nat(3), { maxLength: 3 }),
        file: fc.nat(12),
        text: fc.nat(1000),
        executable: fc.boolean(),
      }),
      { minLength: 1, maxLength: 8 },
    ),
    tags: fc.array(fc.nat(3), { maxLength: 2 }),
    drop: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 1 }),
    rewind: fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 1 }),
  }),
  { minLength: 1, maxLength: 4 },
) as fc.Arbitrary<Round[]>;

const branchName = (branch: number) => (branch === 0 ? 'main' : `work/${branch}`);

test('random histories, pushed round by round, give every clone what Git’s own server gives', async () => {
  const runs = Number(process.env.CAIRN_TEST_GIT_HISTORIES ?? 8);
  await fc.assert(
    fc.asyncProperty(rounds, fc.constantFrom(0, 2), async (history, version) => {
      const { src, ours, gits, name } = await twins();
      const sides = [
        ['ours', ours],
        ['gits', gits],
      ] as const;
      const tips = new Map<number, string>();
      let mark = 0;
      let tag = 0;
      for (const [index, round] of history.entries()) {
        const stream: string[] = [];
        const marks = new Map<number, number>();
        const parent = (branch: number) => (marks.has(branch) ? `:${marks.get(branch)}` : tips.get(branch));
        for (const { branch, parents, file, text, executable } of round.commits) {
          mark++;
          const from = [...new Set([branch, ...parents])].flatMap((one) => parent(one) ?? []);
          const unique = [...new Set(from)];
          const who = `Ada <ada@example.org> ${1_700_000_000 + mark * 10} +0000`;
          stream.push(
            `commit refs/heads/${branchName(branch)}\nmark :${mark}\nauthor ${who}\ncommitter ${who}\ndata 3\nc${String(mark).padStart(2, '0').slice(-2)}\n`,
          );
          // A branch that is new begins where the first of its parents is.
          for (const [at, one] of unique.entries()) stream.push(`${at === 0 ? 'from' : 'merge'} ${one}\n`);
          const body = `${'line\n'.repeat(text % 50)}${text}\n`;
          stream.push(
            `M ${executable ? '100755' : '100644'} inline d${file % 3}/f${file}.txt\ndata ${body.length}\n${body}\n`,
          );
          marks.set(branch, mark);
        }
        for (const branch of round.tags) {
          const at = parent(branch);
          if (at)
            stream.push(
              `tag t${++tag}\nfrom ${at}\ntagger Ada <ada@example.org> 1700000000 +0000\ndata 2\nt\n\n`,
            );
        }
        stream.push('done\n');
        await fastImport(src, stream.join(''));
        for (const branch of round.rewind) {
          const name = branchName(branch);
          if ((await world.tryGit(src, ['rev-parse', '-q', '--verify', `${name}~1`])).status === 0)
            await world.git(src, 'update-ref', `refs/heads/${name}`, `${name}~1`);
        }
        for (const branch of round.drop)
          await world.tryGit(src, ['update-ref', '-d', `refs/heads/${branchName(branch)}`]);
        tips.clear();
        for (const branch of [0, 1, 2, 3]) {
          const { status, stdout } = await world.tryGit(src, [
            'rev-parse',
            '-q',
            '--verify',
            `refs/heads/${branchName(branch)}`,
          ]);
          if (status === 0) tips.set(branch, stdout.trim());
        }
        for (const [side, url] of sides) {
          await world.git(
            src,
            ...protocol(version),
            'push',
            '-q',
            '--force',
            '--prune',
            url,
            'refs/heads/work/*:refs/heads/work/*',
          );
          await world.git(
            src,
            ...protocol(version),
            'push',
            '-q',
            url,
            'refs/heads/main*:refs/heads/main*',
            '--tags',
          );
          const dir = `${name}-${side}`;
          if (index === 0) await world.git('.', ...protocol(version), 'clone', '-q', '--mirror', url, dir);
          else
            await world.git(dir, ...protocol(version), 'fetch', '-q', '--prune', 'origin', '+refs/*:refs/*');
        }
        await expectSame(`${name}-ours`, `${name}-gits`);
      }
      for (const [side, url] of sides)
        await world.git('.', ...protocol(version), 'clone', '-q', '--mirror', url, `${name}-${side}-again`);
      await expectSame(`${name}-ours-again`, `${name}-gits-again`);
    }),
    { numRuns: runs, ...(process.env.CAIRN_TEST_SEED && { seed: Number(process.env.CAIRN_TEST_SEED) }) },
  );
}, 3_000_000);
