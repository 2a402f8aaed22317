import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { BenchServer } from './context.ts';

/** Makes a model with one version for each ONNX file. */
export async function pushVersions(
  server: BenchServer,
  model: string,
  files: readonly string[],
): Promise<void> {
  const models = '/workspaces/default/models';
  await server.api('POST', models, { name: model });
  for (const file of files) {
    const content = (await readFile(file)).toString('base64');
    await server.api('POST', `${models}/${model}/versions`, { files: [{ path: 'model.onnx', content }] });
  }
}

export interface Endpoint {
  readonly status: {
    readonly phase: string;
    readonly current?: { readonly version: number };
    readonly lastRollback?: { readonly reason: string };
  };
}

const ENDPOINTS = '/workspaces/default/endpoints';

export const getEndpoint = (server: BenchServer, name: string) =>
  server.api<Endpoint>('GET', `${ENDPOINTS}/${name}`);

/** Waits until the endpoint is as wanted. @throws Error after a minute */
export async function endpointIs(
  server: BenchServer,
  name: string,
  wanted: (endpoint: Endpoint) => boolean,
): Promise<void> {
  const until = Date.now() + 60_000;
  let endpoint = await getEndpoint(server, name);
  while (!wanted(endpoint)) {
    if (Date.now() > until) throw new Error(`endpoint ${name} stays ${JSON.stringify(endpoint.status)}`);
    await pause(50);
    endpoint = await getEndpoint(server, name);
  }
}

/** Makes an endpoint of a model's version 1 and waits until it is served and good. */
export async function deployFirst(server: BenchServer, name: string, spec: object): Promise<void> {
  const strategy = { type: 'all-at-once', bakeSeconds: 0 };
  await server.api('POST', ENDPOINTS, { name, spec: { ...spec, target: { version: 1 }, strategy } });
  await endpointIs(server, name, ({ status }) => status.phase === 'idle' && status.current?.version === 1);
}

/** Changes what the endpoint is to be. */
export const updateEndpoint = (server: BenchServer, name: string, spec: object) =>
  server.api('PUT', `${ENDPOINTS}/${name}`, { spec });
