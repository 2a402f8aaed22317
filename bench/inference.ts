import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Bench, startServer, TOKEN } from './context.ts';
import { DIGITS, deployDigits, firstImage, inferBody, pushDigits } from './digits.ts';
import { type Measurement, median, repeat } from './measurement.ts';

const REQUESTS = 2000;

/** One client, one request after the other: what gateway and model server add to the model itself. */
export async function inference({ dir }: Bench): Promise<Measurement[]> {
  const image = await firstImage();
  const session = await InferenceSession.create(await readFile(join(DIGITS, 'digits-v2.onnx')), {
    intraOpNumThreads: 1,
  });
  const tensor = new Tensor('float32', Float32Array.from(image), [1, 64]);
  const alone = await p50(async () => void (await session.run({ image: tensor })));
  const server = await startServer(join(dir, 'data'));
  try {
    await pushDigits(server, 'digits-v2.onnx');
    await deployDigits(server, 1, { type: 'all-at-once', bakeSeconds: 0 });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const url = `${server.url}/endpoints/default/digits/v2/models/digits/infer`;
    const served = await p50(() => post(url, inferBody(image), agent));
    agent.destroy();
    const added = served - alone;
    return [
      {
        what: 'inference through gateway and model server, p50',
        figure: `${alone.toFixed(2)} ms in process + ${added.toFixed(2)} ms`,
        bar: '≤ + 1.0 ms',
        reached: added <= 1,
      },
    ];
  } finally {
    await server.stop();
  }
}

async function p50(call: () => Promise<void>): Promise<number> {
  await repeat(REQUESTS / 4, call);
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
