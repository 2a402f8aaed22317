import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Bench, type BenchServer, startServer, TOKEN } from './context.ts';
import { deployDigits, digitsEndpoint, images, inferBody, orderDigits, pushDigits } from './digits.ts';
import { type Measurement, median, repeat } from './measurement.ts';

const CLIENTS = 4;

/** From an alarm's evaluation to the last request that the bad revision gets, under load. */
export async function rollback({ dir }: Bench): Promise<Measurement[]> {
  const server = await startServer(join(dir, 'data'));
  try {
    for (const file of ['digits-v1.onnx', 'digits-v3-broken.onnx']) await pushDigits(server, file);
    await deployDigits(server, 1, { type: 'all-at-once', bakeSeconds: 0 });
    const runs = await repeat(3, () => breakAndWatch(server));
    const time = median(runs);
    const figure = `${Math.round(time)} ms`;
    return [
      {
        what: 'from alarm evaluation to all traffic on the old revision',
        figure,
        bar: '< 200 ms',
        reached: time < 200,
      },
    ];
  } finally {
    await server.stop();
  }
}

/** @returns milliseconds from the alarm's change of state to the start of the last request that version 2 answered */
async function breakAndWatch(server: BenchServer): Promise<number> {
  const inputs = (await images()).map(inferBody);
  let lastOnBad = 0;
  let stopped = false;
  const client = async (offset: number) => {
    for (let n = offset; !stopped; n += CLIENTS) {
      const began = Date.now();
      const answer = await fetch(`${server.url}/endpoints/default/digits/v2/models/digits/infer`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        body: inputs[n % inputs.length] ?? '',
      });
      await answer.arrayBuffer();
      if (answer.headers.get('cairn-version') === '2') lastOnBad = Math.max(lastOnBad, began);
      await pause(2);
    }
  };
  const before = (await digitsEndpoint(server)).status.lastRollback;
  const clients = Array.from({ length: CLIENTS }, (_, offset) => client(offset));
  await orderDigits(server, 2, { type: 'canary', canaryPercent: 50, canarySeconds: 600, bakeSeconds: 600 });
  let evaluated = 0;
  while (evaluated === 0) {
    await pause(20);
    const { items } = await server.api<{ items: { name: string; state: string; stateUpdatedAt: string }[] }>(
      'GET',
      '/workspaces/default/alarms',
    );
    const fired = items
      .filter(({ state }) => state === 'ALARM')
      .map((alarm) => Date.parse(alarm.stateUpdatedAt));
    if (fired.length > 0) evaluated = Math.min(...fired);
  }
  while ((await digitsEndpoint(server)).status.lastRollback === before) await pause(20);
  await pause(500);
  stopped = true;
  await Promise.all(clients);
  return Math.max(0, lastOnBad - evaluated);
}
