import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Bench, type BenchServer, startServer, TOKEN } from './context.ts';
import { deployFirst, pushVersions } from './endpoint.ts';
import { type Measurement, median, repeat, shortest } from './measurement.ts';
import { type Sample, samples } from './sample-input.ts';

const ROUNDS = 5;
const REQUESTS = 200;

/** One client, one request after the other: what gateway and model server add to the model itself. */
export async function inference({ dir }: Bench): Promise<Measurement[]> {
  const server = await startServer(join(dir, 'data'));
  try {
    const results: Measurement[] = [];
    for (const sample of await samples()) results.push(await measure(server, sample));
    return results;
  } finally {
    await server.stop();
  }
}

async function measure(server: BenchServer, { name, file, input }: Sample): Promise<Measurement> {
  await pushVersions(server, name, [file]);
  await deployFirst(server, name, { model: name });
  // As the model server makes its own for a spec that asks for one core.
  const session = await InferenceSession.create(await readFile(file), { intraOpNumThreads: 1 });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const url = `${server.url}/endpoints/default/${name}/v2/models/${name}/infer`;
  const body = JSON.stringify({ inputs: [input] });
  const run = () => session.run({ [input.name]: tensorOf(input) });
  const infer = () => post(url, body, agent);
  await p50(run);
  await p50(infer);
  const rounds = await repeat(ROUNDS, async () => ({ alone: await p50(run), served: await p50(infer) }));
  agent.destroy();
  await session.release();
  const alone = shortest(rounds.map((round) => round.alone));
  const added = shortest(rounds.map((round) => round.served)) - alone;
  return {
    what: `inference of ${name} through the gateway, p50`,
    client: 'node',
    value: added,
    figure: `session.run + ${added.toFixed(2)} ms (session.run ${alone.toFixed(2)} ms)`,
    bar: '≤ + 1.0 ms',
    reached: added <= 1,
  };
}

const tensorOf = ({ datatype, shape, data }: Sample['input']) =>
  datatype === 'FP32'
    ? new Tensor('float32', Float32Array.from(data), shape)
    : new Tensor('int32', Int32Array.from(data), shape);

/** Median of the milliseconds that a call takes. */
async function p50(call: () => Promise<unknown>): Promise<number> {
  const times = await repeat(REQUESTS, async () => {
    const began = performance.now();
    await call();
    return performance.now() - began;
  });
  return median(times);
}

function post(url: string, body: string, agent: Agent): Promise<void> {
  const headers = {
    authorization: `Bearer ${TOKEN}`,
    'content-type': 'application/json',
    'content-length': body.length,
  };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: 'POST', agent, headers }, (answer) => {
      answer.resume();
      answer.once('end', () =>
        answer.statusCode === 200 ? resolve() : reject(new Error(`infer: ${answer.statusCode}`)),
      );
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
