import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { linearHistory } from '../tools/git-history.ts';
import { startHttpBackend } from '../tools/git-http-backend.ts';
import { type Bench, type BenchServer, startServer, TOKEN } from './context.ts';
import { fillRepository } from './many-versions.ts';
import { type Measurement, medianOf, ratioOf, repeat, seconds } from './measurement.ts';

const ROUNDS = 5;
const COMMITS = 10_000;
const TAGS = 5000;
const LFS_BYTES = 256 * 1024 * 1024;

interface Work {
  readonly dir: string;
  readonly server: BenchServer;
  readonly backend: string;
  git(where: string, ...args: string[]): Promise<void>;
  url(model: string): string;
}

/** Git's own client against this server and, over the same repositories, against `git http-backend`. */
export async function git({ dir }: Bench): Promise<Measurement[]> {
  await fillRepository(join(dir, 'data'), 'steps', COMMITS);
  const server = await startServer(join(dir, 'data'));
  const backend = await startHttpBackend(dir);
  const work: Work = {
    dir,
    server,
    backend: backend.url,
    git: (where, ...args) => runGit(join(dir, where), dir, args),
    url: (model) => `${server.url.replace('://', `://git:${TOKEN}@`)}/default/${model}.git`,
  };
  try {
    await prepare(work);
    return [
      await clone(work),
      await cloneOfSteps(work),
      await fetchOne(work),
      await lsRemote(work),
      ...(await lfs(work)),
    ];
  } finally {
    await server.stop();
    await backend.close();
  }
}

async function prepare({ dir, server, backend, git, url }: Work): Promise<void> {
  await server.api('POST', '/workspaces/default/models', { name: 'once' });
  await git('.', 'init', '-q', '-b', 'main', 'src');
  await writeFile(join(dir, 'history'), linearHistory(COMMITS, 50));
  await git('src', 'fast-import', '--quiet', '--done', ['<', '../history'].join(''));
  for (const name of ['once', 'steps']) {
    await git('.', 'init', '-q', '--bare', '-b', 'main', `${name}.git`);
    await git(`${name}.git`, 'config', 'http.receivepack', 'true');
  }
  await git('src', 'push', '-q', `${backend}/once.git`, 'main');
  await git('src', 'push', '-q', url('once'), 'main');
  await git('steps.git', 'fetch', '-q', url('steps'), '+refs/*:refs/*');
  for (const name of ['once', 'steps']) await git(`${name}.git`, 'gc', '-q');
}

/** How long it takes here and there, in turns. */
async function pairs(
  work: Work,
  here: (round: number, url: string) => Promise<void>,
  model: string,
): Promise<{ ours: number; gits: number; ratio: number }> {
  const rounds = await repeat(ROUNDS, async (round) => ({
    gits: await seconds(() => here(round, `${work.backend}/${model}.git`)),
    ours: await seconds(() => here(round, work.url(model))),
  }));
  return {
    ours: medianOf(rounds, 'ours'),
    gits: medianOf(rounds, 'gits'),
    ratio: ratioOf(rounds, 'ours', 'gits'),
  };
}

const compared = (
  what: string,
  { ours, gits, ratio }: { ours: number; gits: number; ratio: number },
  most: number,
): Measurement => ({
  what,
  client: 'git',
  value: ratio,
  figure: `${(ours * 1000).toFixed(0)} ms, git http-backend ${(gits * 1000).toFixed(0)} ms: ${ratio.toFixed(2)} ×`,
  bar: `≤ ${most} ×`,
  reached: ratio <= most,
});

const cloneInto = (work: Work) => async (_: number, url: string) => {
  await work.git('.', 'clone', '-q', '--bare', url, 'cloned');
  await rm(join(work.dir, 'cloned'), { recursive: true });
};

const clone = async (work: Work) =>
  compared(`clone ${COMMITS} commits pushed at once`, await pairs(work, cloneInto(work), 'once'), 2);

const cloneOfSteps = async (work: Work) =>
  compared(`clone ${COMMITS} versions made one by one`, await pairs(work, cloneInto(work), 'steps'), 2);

async function fetchOne(work: Work): Promise<Measurement> {
  const { git, url, backend } = work;
  for (const [name, from] of [
    ['ours', url('once')],
    ['gits', `${backend}/once.git`],
  ] as const)
    await git('.', 'clone', '-q', '--bare', from, `fetching-${name}`);
  await git('src', 'reset', '-q', '--hard', 'main');
  const rounds = await repeat(ROUNDS, async (round) => {
    await writeFile(join(work.dir, 'src', 'new.txt'), `${round}`);
    await git('src', 'add', 'new.txt');
    await git('src', '-c', 'user.name=a', '-c', 'user.email=a@example.org', 'commit', '-q', '-m', `${round}`);
    for (const to of [url('once'), `${backend}/once.git`]) await git('src', 'push', '-q', to, 'main');
    return {
      gits: await seconds(() => git('fetching-gits', 'fetch', '-q', 'origin', 'main')),
      ours: await seconds(() => git('fetching-ours', 'fetch', '-q', 'origin', 'main')),
    };
  });
  const figures = {
    ours: medianOf(rounds, 'ours'),
    gits: medianOf(rounds, 'gits'),
    ratio: ratioOf(rounds, 'ours', 'gits'),
  };
  return compared('fetch one new commit', figures, 1);
}

async function lsRemote(work: Work): Promise<Measurement> {
  const { git, backend, dir, server, url } = work;
  await server.api('POST', '/workspaces/default/models', { name: 'tags' });
  await git('.', 'clone', '-q', '--bare', url('steps'), 'tags.git');
  // As many tags as the bar says.
  await pipeline(
    (function* () {
      for (let n = TAGS + 1; n <= COMMITS; n++) yield `delete refs/tags/v${n}\n`;
    })(),
    createWriteStream(join(dir, 'deletions')),
  );
  await git('tags.git', 'update-ref', '--stdin', ['<', '../deletions'].join(''));
  await git('tags.git', 'pack-refs', '--all');
  await fillTags(work);
  const rounds = await repeat(ROUNDS * 2, async () => ({
    gits: await seconds(() => git('.', 'ls-remote', '-q', `${backend}/tags.git`)),
    ours: await seconds(() => git('.', 'ls-remote', '-q', url('tags'))),
  }));
  const figures = {
    ours: medianOf(rounds, 'ours'),
    gits: medianOf(rounds, 'gits'),
    ratio: ratioOf(rounds, 'ours', 'gits'),
  };
  return compared(`ls-remote with ${TAGS} tags`, figures, 1);
}

/** The same versions as the first of `steps`, in a model of their own. */
async function fillTags({ server }: Work): Promise<void> {
  const make = (n: number) =>
    server.api('POST', '/workspaces/default/models/tags/versions', {
      files: [{ path: 'a.txt', text: `${n}` }],
    });
  for (let n = 0; n < TAGS; n += 50) await Promise.all(Array.from({ length: 50 }, (_, k) => make(n + k)));
}

/** Bytes by LFS, held against the same bytes to and from the storage without it. */
async function lfs(work: Work): Promise<Measurement[]> {
  const { dir, git, server, url } = work;
  await git('.', 'lfs', 'install', '--skip-repo');
  await server.api('POST', '/workspaces/default/models', { name: 'large' });
  const bytes = Buffer.alloc(LFS_BYTES);
  const rounds = await repeat(3, async (round) => {
    const src = `lfs-${round}`;
    await mkdir(join(dir, src));
    await git(src, 'init', '-q', '-b', 'main');
    await git(src, 'lfs', 'track', '*.bin');
    for (let at = 0; at < bytes.length; at += 4096) bytes.writeDoubleBE(Math.random(), at);
    await writeFile(join(dir, src, 'large.bin'), bytes);
    await git(src, 'add', '-A');
    await git(src, '-c', 'user.name=a', '-c', 'user.email=a@example.org', 'commit', '-q', '-m', 'large');
    await git(src, 'remote', 'add', 'origin', url('large'));
    const up = await seconds(() => git(src, 'lfs', 'push', '--all', 'origin'));
    await git(src, 'push', '-q', 'origin', `HEAD:refs/heads/r${round}`);
    await git(
      '.',
      'clone',
      '-q',
      '--no-checkout',
      '--single-branch',
      '-b',
      `r${round}`,
      url('large'),
      `${src}-clone`,
    );
    const down = await seconds(() => git(`${src}-clone`, 'lfs', 'fetch'));
    for (let at = 0; at < bytes.length; at += 4096) bytes.writeDoubleBE(Math.random(), at);
    const raw = await putAndGet(work, bytes);
    for (const folder of [src, `${src}-clone`]) await rm(join(dir, folder), { recursive: true });
    return { up, down, rawUp: raw.up, rawDown: raw.down };
  });
  const rate = (s: number) => `${(LFS_BYTES / 1e6 / s).toFixed(0)} MB/s`;
  return (['up', 'down'] as const).map((way) => {
    const raw = way === 'up' ? 'rawUp' : 'rawDown';
    return {
      what: `Git LFS ${way}, ${LFS_BYTES / 2 ** 20} MiB`,
      client: 'git-lfs',
      value: ratioOf(rounds, way, raw),
      figure: `${rate(medianOf(rounds, way))}; the storage alone, by its signed URL: ${rate(medianOf(rounds, raw))}`,
    };
  });
}

async function putAndGet({ server, url }: Work, bytes: Buffer): Promise<{ up: number; down: number }> {
  const { createHash } = await import('node:crypto');
  const oid = createHash('sha256').update(bytes).digest('hex');
  const lfs = new URL(`${url('large')}/info/lfs`);
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/vnd.git-lfs+json' };
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(server.url + lfs.pathname + path, {
      method: 'POST',
      headers,
      body: JSON.stringify(body),
    });
    return (await answer.json()) as { objects: { actions: Record<string, { href: string }> }[] };
  };
  const actions = async (operation: string) =>
    (await post('/objects/batch', { operation, objects: [{ oid, size: bytes.length }] })).objects[0]
      ?.actions ?? {};
  const { upload, verify } = await actions('upload');
  const up = await seconds(() => fetch(upload?.href ?? '', { method: 'PUT', body: new Uint8Array(bytes) }));
  await fetch(verify?.href ?? '', {
    method: 'POST',
    headers,
    body: JSON.stringify({ oid, size: bytes.length }),
  });
  const { download } = await actions('download');
  const down = await seconds(async () => {
    for await (const _ of (await fetch(download?.href ?? '')).body ?? []);
  });
  return { up, down };
}

/** Runs git as if nobody had configured it; a last argument `<file` is its input. */
function runGit(cwd: string, home: string, args: readonly string[]): Promise<void> {
  const input = args.at(-1)?.startsWith('<') ? args.at(-1)?.slice(1) : undefined;
  const words = input === undefined ? args : args.slice(0, -1);
  const shell =
    input === undefined
      ? { command: 'git', args: words }
      : { command: 'sh', args: ['-c', `exec git "$@" < ${input}`, 'git', ...words] };
  return new Promise((resolve, reject) => {
    let stderr = '';
    const child = spawn(shell.command, shell.args, {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env.PATH, HOME: home, GIT_CONFIG_NOSYSTEM: '1', GIT_TERMINAL_PROMPT: '0' },
    });
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
    child.on('error', () =>
      reject(new Error('`git` is needed: install the Debian packages git and git-lfs.')),
    );
    child.on('close', (status) =>
      status === 0 ? resolve() : reject(new Error(`git ${args.join(' ')}: ${stderr.trim()}`)),
    );
  });
}
