import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BenchServer } from './context.ts';

export const DIGITS = join(import.meta.dirname, '../test/models/digits');

const endpoints = '/workspaces/default/endpoints';

export async function images(): Promise<number[][]> {
  return (JSON.parse(await readFile(join(DIGITS, 'test.json'), 'utf8')) as { images: number[][] }).images;
}

export async function firstImage(): Promise<number[]> {
  const [image] = await images();
  if (!image) throw new Error('test.json has no image');
  return image;
}

export const inferBody = (image: readonly number[]) =>
  JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 64], data: image }] });

/** Makes the model if need be, and its next version. */
export async function pushDigits(server: BenchServer, file: string): Promise<void> {
  await server.api('POST', '/workspaces/default/models', { name: 'digits' }).catch(() => undefined);
  const content = (await readFile(join(DIGITS, file))).toString('base64');
  await server.api('POST', '/workspaces/default/models/digits/versions', {
    files: [{ path: 'model.onnx', content }],
  });
}

/** Deploys a version with an alarm that looks at every 10 s. */
export async function orderDigits(server: BenchServer, version: number, strategy: object): Promise<void> {
  const alarm = { period: 10, evaluationPeriods: 1, datapointsToAlarm: 1 };
  const alarms = { errorRate: { threshold: 5, ...alarm } };
  const spec = { model: 'digits', target: { version }, strategy, alarms };
  const put = () => server.api('PUT', `${endpoints}/digits`, { spec });
  await put().catch(() => server.api('POST', endpoints, { name: 'digits', spec }));
}

interface Endpoint {
  readonly status: {
    readonly phase: string;
    readonly current?: { version: number };
    readonly lastRollback?: { reason: string };
  };
}

export const digitsEndpoint = (server: BenchServer) => server.api<Endpoint>('GET', `${endpoints}/digits`);

/** Deploys, and waits until the version is the current one. */
export async function deployDigits(server: BenchServer, version: number, strategy: object): Promise<void> {
  await orderDigits(server, version, strategy);
  for (;;) {
    const { status } = await digitsEndpoint(server);
    if (status.current?.version === version && status.phase === 'idle') return;
    await pause(100);
  }
}
