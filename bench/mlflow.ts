import { randomFillSync } from 'node:crypto';
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NEWEST, requirements } from '../test/peers/mlflow-requirements.ts';
import { startMlflowServer } from '../test/peers/mlflow-server.ts';
import { pythonEnv } from '../test/peers/python.ts';
import { type Bench, command, startServer, TOKEN } from './context.ts';
import { fillModels } from './many-versions.ts';
import { type Measurement, median, medianOf, ratioOf, repeat, seconds } from './measurement.ts';
import { groupMemory } from './memory.ts';
import { fillMlflow } from './mlflow-fill.ts';
import { WRK, wrk } from './wrk.ts';

const WORKERS = 4;
const SECONDS = 3;
const ROUNDS = 3;
const STARTS = 2;
const IDLE_MS = 2000;
const MODELS = 1000;
/** Models that get versions, so that one's history is not what is waited for. */
const VERSIONED = 64;
const FEW = 10;
const MANY = 10_000;
/** How many versions this server's own answers are held flat to; MLflow's has no such model. */
const FLAT = 100_000;
/** Seconds after which a transfer counts as hung: MLflow's server may answer nothing any more after floods of writes. */
const HUNG = 300;
const ALIASES = 10;
const GIB = 1024 ** 3;
const TRANSFERS = 3;

/** One of the two servers, as its client sees it. */
interface Peer {
  readonly url: string;
  call<T>(method: string, path: string, body?: unknown): Promise<T>;
}

/** The REST API of MLflow's clients: this server beside MLflow's own with 4 workers on SQLite, asked by the same client. */
export async function mlflow({ dir }: Bench): Promise<Measurement[]> {
  const python = await pythonEnv('mlflow', requirements(NEWEST));
  const starts = await repeat(STARTS, (round) => startBoth(python, join(dir, `start-${round}`)));
  const data = join(dir, 'cairn');
  const theirs = join(dir, 'mlflow');
  await mkdir(theirs);
  await fillModels(data, [
    { name: 'few', versions: FEW, aliases: ALIASES },
    { name: 'many', versions: MANY, aliases: ALIASES },
    { name: 'flat', versions: FLAT, aliases: ALIASES },
  ]);
  const server = await startServer(data);
  try {
    const peer = await startMlflowServer(python, theirs, WORKERS);
    try {
      const ours = peerAt(server.url);
      const other = peerAt(peer.url);
      await fillThem(other, join(theirs, 'mlflow.db'));
      const reads = await compareReads(dir, ours, other);
      const flat = await compareFlat(dir, ours);
      const page = await compareWhole(ours, other);
      const artifacts = await compareArtifacts(dir, ours, other);
      // Last: MLflow's server does not always recover from them.
      const writes = await compareWrites(dir, ours, other);
      return [...ofStarts(starts), ...reads, ...flat, page, ...artifacts, ...writes];
    } finally {
      await peer.stop();
    }
  } finally {
    await server.stop();
  }
}

async function startBoth(python: string, folder: string) {
  const theirs = join(folder, 'mlflow');
  await mkdir(theirs, { recursive: true });
  const measure = async <S extends { stop(): Promise<unknown> }>(
    start: () => Promise<S>,
    pid: (s: S) => number,
  ) => {
    const began = performance.now();
    const server = await start();
    const ready = performance.now() - began;
    await pause(IDLE_MS);
    const megabytes = groupMemory(pid(server));
    await server.stop();
    return { ready, megabytes };
  };
  const cairn = await measure(
    () => startServer(join(folder, 'cairn')),
    ({ process: { pid } }) => pid ?? 0,
  );
  const peer = await measure(
    () => startMlflowServer(python, theirs, WORKERS),
    ({ pid }) => pid,
  );
  return { ours: cairn.ready, theirs: peer.ready, memory: cairn.megabytes, theirMemory: peer.megabytes };
}

function ofStarts(starts: readonly Awaited<ReturnType<typeof startBoth>>[]): Measurement[] {
  const sooner = ratioOf(starts, 'theirs', 'ours');
  const smaller = ratioOf(starts, 'theirMemory', 'memory');
  const ms = (figure: 'ours' | 'theirs') => `${medianOf(starts, figure).toFixed(0)} ms`;
  const mb = (figure: 'memory' | 'theirMemory') => `${medianOf(starts, figure).toFixed(0)} MB`;
  return [
    line('ready after the process starts', 'node', sooner, 10, 'sooner', [ms('ours'), ms('theirs')]),
    line('memory of all its processes, idle', '/proc', smaller, 15, 'less', [
      mb('memory'),
      mb('theirMemory'),
    ]),
  ];
}

function peerAt(url: string): Peer {
  return {
    url,
    async call<T>(method: string, path: string, body?: unknown): Promise<T> {
      const answer = await fetch(`${url}/api/2.0/mlflow/${path}`, {
        method,
        // A connection that was kept may be closed by MLflow's server at the moment that it is used again.
        headers: {
          authorization: `Bearer ${TOKEN}`,
          'content-type': 'application/json',
          connection: 'close',
        },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
      return JSON.parse(text) as T;
    },
  };
}

async function fillThem(peer: Peer, database: string): Promise<void> {
  for (const [name, versions] of [
    ['few', FEW],
    ['many', MANY],
  ] as const) {
    await peer.call('POST', 'registered-models/create', { name });
    await peer.call('POST', 'model-versions/create', { name, source: 's3://bucket/model' });
    fillMlflow(database, name, versions, ALIASES);
  }
}

/** A run with a small model in its artifacts, which versions are made from. */
async function startRun({ url, call }: Peer): Promise<{ id: string; source: string }> {
  const { run } = await call<{ run: { info: { run_id: string; artifact_uri: string } } }>(
    'POST',
    'runs/create',
    {
      experiment_id: '0',
      start_time: Date.now(),
    },
  );
  const source = `${run.info.artifact_uri}/model`;
  const answer = await fetch(`${artifactUrl(url, source)}/MLmodel`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${TOKEN}`, connection: 'close' },
    body: 'flavors: {}\n',
  });
  if (!answer.ok) throw new Error(`${answer.url}: ${answer.status} ${await answer.text()}`);
  return { id: run.info.run_id, source };
}

const artifactUrl = (url: string, uri: string) =>
  `${url}/api/2.0/mlflow-artifacts/artifacts/${uri.replace(/^mlflow-artifacts:\/+/, '')}`;

type Script = (peer: Peer, round: number) => string | Promise<string>;

async function rate(dir: string, peer: Peer, script: string): Promise<number> {
  const file = join(dir, 'requests.lua');
  await writeFile(file, script);
  return wrk(peer.url, SECONDS, file);
}

function comparison(dir: string, ours: Peer, theirs: Peer) {
  return async (what: string, bar: number, script: Script): Promise<Measurement> => {
    const rounds = await repeat(ROUNDS, async (round) => ({
      ours: await rate(dir, ours, await script(ours, round)),
      theirs: await rate(dir, theirs, await script(theirs, round)),
    }));
    const speeds = [medianOf(rounds, 'ours'), medianOf(rounds, 'theirs')].map(
      (speed) => `${speed.toFixed(0)}/s`,
    );
    return line(what, WRK, ratioOf(rounds, 'ours', 'theirs'), bar, 'as many', speeds);
  };
}

async function compareReads(dir: string, ours: Peer, theirs: Peer): Promise<Measurement[]> {
  const compare = comparison(dir, ours, theirs);
  for (const peer of [ours, theirs]) {
    for (let n = 0; n < MODELS; n++) {
      const tags = [{ key: 'team', value: `t${n % 10}` }];
      await peer.call('POST', 'registered-models/create', { name: `m${n}`, tags });
    }
  }
  const search = (query: string) => () => get(`registered-models/search?max_results=100${query}`);
  return [
    await compare('get a model', 20, () => get('registered-models/get?name=m7')),
    await compare(`version by alias, ${FEW} versions`, 20, () => get(alias('few'))),
    await compare(`version by alias, ${MANY} versions`, 20, () => get(alias('many'))),
    await compare(`a page of 100 of ${MODELS} models`, 10, search('')),
    await compare('models by a part of their name', 10, search('&filter=name%20LIKE%20%27%2577%25%27')),
    await compare('the same, whatever its case', 10, search('&filter=name%20ILIKE%20%27%2577%25%27')),
    await compare('models by a tag', 10, search('&filter=tags.team%20%3D%20%27t3%27')),
    await compare('models by their last change', 10, search('&order_by=last_updated_timestamp%20DESC')),
  ];
}

const alias = (name: string) => `registered-models/alias?name=${name}&alias=a5`;

/** What a model of many versions costs beside one of few, on this server. */
async function compareFlat(dir: string, ours: Peer): Promise<Measurement[]> {
  const run = await startRun(ours);
  const version = (name: string) => JSON.stringify({ name, source: run.source, run_id: run.id });
  const calls: [string, (name: string, round: number) => string][] = [
    ['version by alias', (name) => get(alias(name))],
    ['get a version', (name) => get(`model-versions/get?name=${name}&version=7`)],
    ['create a version from a run', (name, round) => post('model-versions/create', version(name), round)],
  ];
  const results: Measurement[] = [];
  for (const [what, script] of calls) {
    const rounds = await repeat(ROUNDS, async (round) => {
      const rates = { flat: 0, few: 0 };
      const names = ['flat', 'few'] as const;
      // Each goes first in every other round: what the one before left to be written is paid for by the next.
      for (const name of round % 2 === 0 ? names : names.toReversed())
        rates[name] = await rate(dir, ours, script(name, round));
      return rates;
    });
    const value = ratioOf(rounds, 'flat', 'few');
    const figure = `${value.toFixed(2)} × with ${FEW} (${medianOf(rounds, 'flat').toFixed(0)}/s)`;
    const name = `${what}, ${FLAT} versions`;
    results.push({ what: name, client: WRK, value, figure, bar: '≥ 0.9 ×', reached: value >= 0.9 });
  }
  return results;
}

async function compareWrites(dir: string, ours: Peer, theirs: Peer): Promise<Measurement[]> {
  const compare = comparison(dir, ours, theirs);
  const runs = new Map([ours, theirs].map((peer) => [peer, startRun(peer)]));
  return [
    await compare('create a version from a run', 10, async (peer, round) => {
      const run = await runs.get(peer);
      const body = JSON.stringify({ name: 'NAME', source: run?.source, run_id: run?.id });
      return post('model-versions/create', body.replace('NAME', `m' .. (n % ${VERSIONED}) .. '`), round);
    }),
    await compare('create a model', 10, (_, round) =>
      post('registered-models/create', `{"name":"new-${round}-' .. n .. '"}`, round),
    ),
  ];
}

/** Requests that differ in a parameter that nobody reads, so that no answer is one that was kept. */
const get = (path: string) => `
local n = 0
request = function()
  n = n + 1
  return wrk.format('GET', '/api/2.0/mlflow/${path}&n=' .. n .. '-${Date.now()}')
end`;

const post = (path: string, body: string, round: number) => `
-- round ${round}
local n = 0
wrk.headers['Content-Type'] = 'application/json'
request = function()
  n = n + 1
  return wrk.format('POST', '/api/2.0/mlflow/${path}', nil, '${body}')
end`;

async function compareWhole(ours: Peer, theirs: Peer): Promise<Measurement> {
  const path = `model-versions/search?max_results=${MANY}&filter=name%3D%27many%27`;
  const time = (peer: Peer, round: number) =>
    seconds(() => curl(['-o', '/dev/null', `${peer.url}/api/2.0/mlflow/${path}&n=${round}`]));
  const rounds = await repeat(ROUNDS, async (round) => ({
    ours: await time(ours, round),
    theirs: await time(theirs, round),
  }));
  const times = [medianOf(rounds, 'ours'), medianOf(rounds, 'theirs')].map(
    (took) => `${(took * 1000).toFixed(0)} ms`,
  );
  return line(
    `${MANY} versions in one answer`,
    'curl',
    ratioOf(rounds, 'theirs', 'ours'),
    10,
    'sooner',
    times,
  );
}

async function compareArtifacts(dir: string, ours: Peer, theirs: Peer): Promise<Measurement[]> {
  const path = join(dir, 'one-gib.bin');
  const chunk = randomFillSync(Buffer.alloc(GIB / 16));
  const file = await open(path, 'w');
  for (let n = 0; n < 16; n++) await file.write(chunk);
  await file.sync();
  await file.close();
  const url = async (peer: Peer) => `${artifactUrl(peer.url, (await startRun(peer)).source)}/big.bin`;
  const [our, their] = [await url(ours), await url(theirs)];
  const up = (to: string) => {
    // MLflow's server leaves its bytes to the kernel: the next to write would wait for them.
    command('sync', 'coreutils', []);
    return seconds(() => curl(['-H', 'Expect:', '--upload-file', path, to]));
  };
  const down = (from: string) => seconds(() => curl(['--location', '-o', '/dev/null', from]));
  const rounds = await repeat(TRANSFERS, async () => ({
    upOurs: await up(our),
    upTheirs: await up(their),
    downOurs: await down(our),
    downTheirs: await down(their),
  }));
  const speeds = (a: keyof (typeof rounds)[0], b: keyof (typeof rounds)[0]) =>
    [a, b].map((figure) => `${(GIB / 1e6 / median(rounds.map((round) => round[figure]))).toFixed(0)} MB/s`);
  return [
    line(
      'an artifact of 1 GiB up',
      'curl',
      ratioOf(rounds, 'upTheirs', 'upOurs'),
      1.2,
      'as fast',
      speeds('upOurs', 'upTheirs'),
    ),
    line(
      'the same down',
      'curl',
      ratioOf(rounds, 'downTheirs', 'downOurs'),
      1.2,
      'as fast',
      speeds('downOurs', 'downTheirs'),
    ),
  ];
}

const curl = (args: readonly string[]) =>
  command('curl', 'curl', [
    '-fsS',
    '--max-time',
    String(HUNG),
    '-H',
    `Authorization: Bearer ${TOKEN}`,
    ...args,
  ]);

const line = (
  what: string,
  client: string,
  value: number,
  bar: number,
  how: string,
  [ours, theirs]: readonly (string | undefined)[],
): Measurement => ({
  what,
  client,
  value,
  figure: `${value.toFixed(value < 10 ? 2 : 1)} × ${how} (${ours}, MLflow ${theirs})`,
  bar: `≥ ${bar} ×`,
  reached: value >= bar,
});
