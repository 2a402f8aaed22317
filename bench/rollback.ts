import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Bench, type BenchServer, startServer, TOKEN } from './context.ts';
import { deployFirst, endpointIs, pushVersions, updateEndpoint } from './endpoint.ts';
import { type Measurement, medianOf, repeat } from './measurement.ts';
import { digitImages, digitsModel } from './sample-input.ts';

const ROUNDS = 3;
const CLIENTS = 4;
/** Between two requests of a client. */
const BETWEEN_MS = 2;
/** How long the bad revision is looked for after the rollback. */
const AFTER_MS = 1000;

/** From an alarm's evaluation to the last answer of the bad revision, under load: the server's own alarm does it all. */
export async function rollback({ dir }: Bench): Promise<Measurement[]> {
  const server = await startServer(join(dir, 'data'));
  try {
    await pushVersions(server, 'digits', [digitsModel('v1'), digitsModel('v3-broken')]);
    const rounds = await repeat(ROUNDS, (round) => breakAndWatch(server, `digits-${round}`));
    const time = medianOf(rounds, 'ms');
    const lost = rounds.reduce((sum, round) => sum + round.lost, 0);
    const requests = rounds.reduce((sum, round) => sum + round.requests, 0);
    return [
      {
        what: 'from the alarm to all traffic on the old revision',
        client: 'node',
        value: time,
        figure: `${time.toFixed(0)} ms (${rounds.map(({ ms }) => ms).join(', ')}), ${CLIENTS} clients`,
        bar: '< 200 ms',
        reached: time < 200,
      },
      {
        what: 'requests that the good revision or nobody failed',
        client: 'node',
        value: lost,
        figure: `${lost} of ${requests}`,
        bar: '0',
        reached: lost === 0,
      },
    ];
  } finally {
    await server.stop();
  }
}

/** What clients saw of one rollout of the broken version. */
interface Watched {
  /** From the alarm's change of state to the end of the last answer that the bad version gave. */
  readonly ms: number;
  readonly requests: number;
  /** Not answered, or answered with an error by another than the bad version. */
  readonly lost: number;
}

async function breakAndWatch(server: BenchServer, name: string): Promise<Watched> {
  const alarms = { errorRate: { threshold: 5, period: 10, evaluationPeriods: 1, datapointsToAlarm: 1 } };
  const spec = { model: 'digits', alarms };
  await deployFirst(server, name, spec);
  const load = await startLoad(`${server.url}/endpoints/default/${name}/v2/models/digits/infer`);
  try {
    const strategy = { type: 'canary', canaryPercent: 50, canarySeconds: 600, bakeSeconds: 600 };
    await updateEndpoint(server, name, { ...spec, target: { version: 2 }, strategy });
    await endpointIs(server, name, ({ status }) => status.lastRollback !== undefined);
    await pause(AFTER_MS);
  } finally {
    await load.stop();
  }
  return { ms: Math.max(0, load.seen.lastBadAt - (await firedAt(server, name))), ...load.seen };
}

/** When the first of the endpoint's alarms was evaluated to ALARM. */
async function firedAt(server: BenchServer, name: string): Promise<number> {
  type Alarms = { items: { name: string; state: string; stateUpdatedAt: string }[] };
  const { items } = await server.api<Alarms>('GET', '/workspaces/default/alarms');
  const fired = items.filter((alarm) => alarm.state === 'ALARM' && alarm.name.includes(`/${name}/`));
  if (fired.length === 0) throw new Error(`no alarm of ${name} is in ALARM`);
  return Math.min(...fired.map(({ stateUpdatedAt }) => Date.parse(stateUpdatedAt)));
}

/** Clients that send real images one after the other, many of which version 2 cannot take. */
async function startLoad(url: string) {
  const bodies = (await digitImages()).map((data) =>
    JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 64], data }] }),
  );
  const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
  const seen = { requests: 0, lost: 0, lastBadAt: 0 };
  let stopped = false;
  const ask = async (body: string) => {
    const answer = await fetch(url, { method: 'POST', headers, body });
    await answer.arrayBuffer();
    const bad = answer.headers.get('cairn-version') === '2';
    if (bad) seen.lastBadAt = Date.now();
    return bad || answer.ok;
  };
  const client = async (offset: number) => {
    for (let n = offset; !stopped; n += CLIENTS) {
      seen.requests++;
      if (!(await ask(bodies[n % bodies.length] ?? '').catch(() => false))) seen.lost++;
      await pause(BETWEEN_MS);
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, offset) => client(offset)));
  return {
    seen,
    async stop() {
      stopped = true;
      await clients;
    },
  };
}
