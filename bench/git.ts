import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import process from 'node:process';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { linearHistory } from '../tools/git-history.ts';
import { startHttpBackend } from '../tools/git-http-backend.ts';
import { type Listening, listenOnLoopback } from '../tools/listen-on-loopback.ts';
import { type Bench, type BenchServer, startServer, TOKEN } from './context.ts';
import { pushOneByOne } from './many-pushes.ts';
import { fillRepository } from './many-versions.ts';
import { type Measurement, medianOf, ratioOf, repeat, seconds } from './measurement.ts';
import { startNginx } from './nginx.ts';

const ROUNDS = 5;
const COMMITS = 10_000;
const TAGS = 5000;
/** Housekeeping consolidates what has grown after ten seconds. */
const QUIET_MS = 15_000;
const LFS_BYTES = 1024 * 1024 * 1024;
const LFS_OBJECTS = 1000;
const LFS_OBJECT_BYTES = 10_000;

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
      await cloneOfPushes(work),
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

/** A branch that was pushed commit by commit, beside the same one pushed at once; both when nothing has come for a while. */
async function cloneOfPushes(work: Work): Promise<Measurement> {
  const { git, server, url } = work;
  for (const name of ['pushes', 'push']) await server.api('POST', '/workspaces/default/models', { name });
  await pushOneByOne(server, 'pushes', COMMITS);
  await git('.', 'clone', '-q', '--bare', '-b', 'work', url('pushes'), 'pushes.git');
  await git('pushes.git', 'fsck', '--strict');
  await git('pushes.git', 'push', '-q', url('push'), 'work');
  await pause(QUIET_MS);
  const into = cloneInto(work);
  const rounds = await repeat(2 * ROUNDS, async (round) => ({
    once: await seconds(() => into(round, url('push'))),
    many: await seconds(() => into(round, url('pushes'))),
  }));
  const ratio = ratioOf(rounds, 'many', 'once');
  return {
    what: `clone ${COMMITS} commits of ${COMMITS} pushes`,
    client: 'git',
    value: ratio,
    figure: `${(medianOf(rounds, 'many') * 1000).toFixed(0)} ms, pushed at once ${(medianOf(rounds, 'once') * 1000).toFixed(0)} ms: ${ratio.toFixed(2)} ×`,
    bar: '≤ 1.1 ×',
    reached: ratio <= 1.1,
  };
}

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

type LfsRound = Record<'up' | 'down' | 'nginxUp' | 'nginxDown', number>;

/** Objects by git-lfs, and by the same git-lfs to and from nginx, which neither hashes nor syncs what it is sent. */
async function lfs(work: Work): Promise<Measurement[]> {
  await work.git('.', 'lfs', 'install', '--skip-repo');
  await work.server.api('POST', '/workspaces/default/models', { name: 'large' });
  const files = join(work.dir, 'lfs-nginx');
  await mkdir(files);
  const nginx = await startNginx(files);
  const peer = await startLfsOver(nginx.url);
  try {
    const large = await repeat(3, (round) => lfsRound(work, peer.url, `large-${round}`, 1, LFS_BYTES));
    const small = await repeat(3, (round) =>
      lfsRound(work, peer.url, `small-${round}`, LFS_OBJECTS, LFS_OBJECT_BYTES),
    );
    const rate = (s: number) => `${(LFS_BYTES / 1e6 / s).toFixed(0)} MB/s`;
    const each = (s: number) => `${(LFS_OBJECTS / s).toFixed(0)}/s`;
    const gib = `${LFS_BYTES / 2 ** 30} GiB`;
    const many = `${LFS_OBJECTS} objects of ${LFS_OBJECT_BYTES / 1000} KB`;
    return (['up', 'down'] as const).flatMap((way) => [
      lfsLine(gib, large, way, rate),
      lfsLine(many, small, way, each),
    ]);
  } finally {
    await peer.close();
    await nginx.stop();
  }
}

function lfsLine(
  what: string,
  rounds: readonly LfsRound[],
  way: 'up' | 'down',
  show: (seconds: number) => string,
): Measurement {
  const nginx = way === 'up' ? 'nginxUp' : 'nginxDown';
  const ratio = ratioOf(rounds, way, nginx);
  return {
    what: `Git LFS ${way}, ${what}`,
    client: 'git-lfs',
    value: ratio,
    figure: `${show(medianOf(rounds, way))}, nginx ${show(medianOf(rounds, nginx))}: ${ratio.toFixed(2)} ×`,
  };
}

async function lfsRound(
  { dir, git, url }: Work,
  peer: string,
  name: string,
  count: number,
  size: number,
): Promise<LfsRound> {
  await mkdir(join(dir, name));
  await git(name, 'init', '-q', '-b', 'main');
  await git(name, 'lfs', 'track', '*.bin');
  for (let n = 0; n < count; n++) await writeRandom(join(dir, name, `${n}.bin`), size);
  await git(name, 'add', '-A');
  await git(name, '-c', 'user.name=a', '-c', 'user.email=a@example.org', 'commit', '-q', '-m', name);
  const cloned = `${name}-clone`;
  const remotes = async (folder: string) => {
    await git(folder, 'remote', 'add', 'nginx', url('large'));
    await git(folder, 'config', 'remote.nginx.lfsurl', peer);
  };
  await git(name, 'remote', 'add', 'origin', url('large'));
  await remotes(name);
  const nginxUp = await seconds(() => git(name, 'lfs', 'push', '--all', 'nginx'));
  const up = await seconds(() => git(name, 'lfs', 'push', '--all', 'origin'));
  await git(name, 'push', '-q', '--no-verify', 'origin', `HEAD:refs/heads/${name}`);
  await git('.', 'clone', '-q', '--no-checkout', '--single-branch', '-b', name, url('large'), cloned);
  await remotes(cloned);
  const nginxDown = await seconds(() => git(cloned, 'lfs', 'fetch', 'nginx', `origin/${name}`));
  await rm(join(dir, cloned, '.git/lfs/objects'), { recursive: true });
  const down = await seconds(() => git(cloned, 'lfs', 'fetch', 'origin', `origin/${name}`));
  for (const folder of [name, cloned]) await rm(join(dir, folder), { recursive: true });
  return { up, down, nginxUp, nginxDown };
}

async function writeRandom(path: string, size: number): Promise<void> {
  const block = randomBytes(Math.min(size, 1024 * 1024));
  const blocks = function* () {
    for (let left = size, n = 0; left > 0; left -= block.length, n++) {
      block.writeUInt32BE(n);
      yield Buffer.from(block.subarray(0, left));
    }
  };
  await pipeline(blocks, createWriteStream(path));
}

/** The least that git-lfs needs of a server: where nginx keeps each object. */
function startLfsOver(storage: string): Promise<Listening> {
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await Array.fromAsync(request)).toString();
    if (!request.url?.endsWith('/objects/batch')) {
      response.writeHead(404).end();
      return;
    }
    const { operation, objects } = JSON.parse(body) as { operation: string; objects: { oid: string }[] };
    const answer = objects.map((object) => ({
      ...object,
      authenticated: true,
      actions: { [operation]: { href: `${storage}/${object.oid}` } },
    }));
    response.setHeader('content-type', 'application/vnd.git-lfs+json');
    response.end(JSON.stringify({ transfer: 'basic', objects: answer }));
  });
  return listenOnLoopback(server);
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
