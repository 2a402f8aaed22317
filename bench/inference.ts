import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Bench, type BenchServer, startServer, TOKEN } from './context.ts';
import { deployFirst, pushVersions } from './endpoint.ts';
import { startHello } from './hello.ts';
import { type Measurement, median, medianOf, repeat } from './measurement.ts';
import { type Sample, samples } from './sample-input.ts';

const ROUNDS = 5;
const REQUESTS = 200;

/** One client, one request after the other: what gateway and model server add to the model itself. */
export async function inference({ dir }: Bench): Promise<Measurement[]> {
  const server = await startServer(join(dir, 'data'));
  const hello = await startHello();
  try {
    const results: Measurement[] = [];
    for (const sample of await samples()) results.push(await measure(server, hello.url, sample));
    return results;
  } finally {
    hello.stop();
    await server.stop();
  }
}

async function measure(
  server: BenchServer,
  helloUrl: string,
  { name, file, input }: Sample,
): Promise<Measurement> {
  await pushVersions(server, name, [file]);
  await deployFirst(server, name, { model: name });
  // As the model server makes its own for a spec that asks for one core.
  const session = await InferenceSession.create(await readFile(file), { intraOpNumThreads: 1 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const url = `${server.url}/endpoints/default/${name}/v2/models/${name}/infer`;
  const body = JSON.stringify({ inputs: [input] });
  const run = () => session.run({ [input.name]: tensorOf(input) });
  const infer = () => exchange(url, agent, body);
  const hello = () => exchange(helloUrl, agent);
  const warm = await p50(run);
  await p50(infer);
  const rounds = await repeat(ROUNDS, async () => ({
    alone: await p50(run),
    served: await p50(infer),
    // Threads that slept while the model ran are slow to wake: what one exchange costs at that pace.
    hello: await p50(hello, Math.round(warm)),
  }));
  agent.destroy();
  await session.release();
  const alone = medianOf(rounds, 'alone');
  const added = median(rounds.map((round) => round.served - round.alone));
  const bare = medianOf(rounds, 'hello');
  return {
    what: `inference of ${name} through the gateway, p50`,
    client: 'node',
    value: added,
    figure: `session.run (${alone.toFixed(2)} ms) + ${added.toFixed(2)} ms; a bare Hono exchange ${bare.toFixed(2)} ms`,
    bar: '≤ + 1.0 ms',
    reached: added <= 1,
  };
}

const tensorOf = ({ datatype, shape, data }: Sample['input']) =>
  datatype === 'FP32'
    ? new Tensor('float32', Float32Array.from(data), shape)
    : new Tensor('int32', Int32Array.from(data), shape);

/** Median of the milliseconds that a call takes, with so many milliseconds before each. */
async function p50(call: () => Promise<unknown>, before = 0): Promise<number> {
  const times = await repeat(REQUESTS, async () => {
    if (before > 0) await pause(before);
    const began = performance.now();
    await call();
    return performance.now() - began;
  });
  return median(times);
}

/** Sends the body, or asks without one. @throws Error when the answer is not 200 */
function exchange(url: string, agent: Agent, body?: string): Promise<void> {
  const headers = {
    authorization: `Bearer ${TOKEN}`,
    ...(body && { 'content-type': 'application/json', 'content-length': body.length }),
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: body ? 'POST' : 'GET', agent, headers }, (answer) => {
      answer.resume();
      answer.once('end', () =>
        answer.statusCode === 200 ? resolve() : reject(new Error(`${url}: ${answer.statusCode}`)),
      );
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
