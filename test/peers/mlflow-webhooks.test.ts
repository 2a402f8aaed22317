import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { startServer, type TestServer, TOKEN } from '../support/server.ts';
import { NEWEST, requirements } from './mlflow-requirements.ts';
import { pythonEnv, runPython } from './python.ts';

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const received: Received[] = [];
/** Answers still to be refused, so that it is tried again. */
let refusals = 0;
const receiver = createServer(async (request, response) => {
  const chunks = await Array.fromAsync(request as AsyncIterable<Buffer>);
  const { url: path = '', headers } = request;
  const body = Buffer.concat(chunks).toString();
  received.push({ path, headers, body });
  const refused = path === '/all' && refusals-- > 0;
  response.writeHead(refused ? 503 : 200).end(refused ? 'later' : 'taken');
});
let folder: string;
let server: TestServer;

beforeAll(async () => {
  process.env.MLFLOW_TRACKING_TOKEN = TOKEN;
  process.env.MLFLOW_HTTP_REQUEST_MAX_RETRIES = '1';
  folder = await mkdtemp(join(tmpdir(), 'cairn-webhooks-'));
  server = await startServer(join(folder, 'data'), { CAIRN_WEBHOOKS_INSIDE: 'true' });
  await new Promise<void>((listening) => receiver.listen(0, '127.0.0.1', listening));
});

afterAll(async () => {
  receiver.close();
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('MLflow’s client makes webhooks, and they are told what happens, signed as MLflow signs', async () => {
  const python = await pythonEnv('mlflow', requirements(NEWEST));
  const { port } = receiver.address() as AddressInfo;
  refusals = 1;
  await runPython(python, 'mlflow_webhooks.py', [server.url, `http://127.0.0.1:${port}`]);
  const taken = () =>
    new Map(received.map((each) => [each.headers['x-mlflow-delivery-id'], JSON.parse(each.body)]));
  const told = () => [...taken().values()].map(({ entity, action }) => `${entity}.${action}`);
  await vi.waitFor(
    () => {
      expect(told()).toHaveLength(10);
      // What was refused once comes again under its own id.
      expect(received.length).toBeGreaterThan(taken().size);
    },
    { timeout: 120_000 },
  );
  expect(told().toSorted()).toEqual([
    'model_version.created',
    'model_version.created',
    'model_version_alias.created',
    'model_version_alias.deleted',
    'model_version_tag.deleted',
    'model_version_tag.set',
    'prompt.created',
    'prompt_version.created',
    'registered_model.created',
    'registered_model.created',
  ]);
  const version = [...taken().values()].find(
    ({ entity, data }) => entity === 'model_version' && data.name === 'told',
  );
  expect(version).toMatchObject({
    workspace: 'default',
    data: { version: '1', source: 's3://bucket/model', run_id: null, tags: { made: 'by' } },
  });
  expect(received.every(({ path }) => path !== '/off')).toBe(true);
  for (const { headers, body } of received) {
    const text = `${headers['x-mlflow-delivery-id']}.${headers['x-mlflow-timestamp']}.${body}`;
    const expected = createHmac('sha256', 'a-secret').update(text).digest('base64');
    expect(headers['x-mlflow-signature']).toBe(`v1,${expected}`);
  }
}, 600_000);
