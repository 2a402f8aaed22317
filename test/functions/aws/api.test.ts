import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { handle } from 'hono/aws-lambda';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { apiOf } from '../../../functions/aws/api.ts';
import { parseSettings, type Settings } from '../../../functions/aws/settings.ts';
import { ensureAdminToken } from '../../../shared/access/token.ts';
import { commit } from '../../../shared/audit/commit.ts';
import { someone } from '../../support/local-ports.ts';
import { type FunctionPorts, invocation, openFunctionPorts } from './aws-fixture.ts';
import { ENV, SERVING_ENV } from './environment.ts';

const TOKEN = 'a-token-for-the-tests';
/** Source: docs.aws.amazon.com/apigateway/latest/developerguide, "Input format of a Lambda function for proxy integration". */
const request = (
  httpMethod: string,
  path: string,
  { body, headers = {} }: { body?: unknown; headers?: object } = {},
) => ({
  resource: '/{proxy+}',
  path,
  httpMethod,
  headers: {
    Authorization: `Bearer ${TOKEN}`,
    Host: 'abc123.execute-api.us-east-1.amazonaws.com',
    'Content-Type': 'application/json',
    ...headers,
  },
  multiValueHeaders: null,
  queryStringParameters: null,
  multiValueQueryStringParameters: null,
  pathParameters: { proxy: decodeURIComponent(path.slice(1)) },
  stageVariables: null,
  requestContext: {
    resourceId: '2gxmpl',
    resourcePath: '/{proxy+}',
    httpMethod,
    extendedRequestId: 'JJbxmplHYosFVYQ=',
    path: `/cairn${path}`,
    accountId: '123456789012',
    protocol: 'HTTP/1.1',
    stage: 'cairn',
    domainName: 'abc123.execute-api.us-east-1.amazonaws.com',
    requestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
    apiId: 'abc123',
    identity: { sourceIp: '203.0.113.1', userAgent: 'cairn/0.1.0' },
  },
  // With binaryMediaTypes */* every body comes so.
  body: body === undefined ? null : Buffer.from(JSON.stringify(body)).toString('base64'),
  isBase64Encoded: body !== undefined,
});

let ports: FunctionPorts;
let settings: Settings;
beforeEach(async () => {
  ports = await openFunctionPorts();
  settings = parseSettings(ENV);
  await ensureAdminToken(ports, TOKEN);
});
afterEach(() => ports.close());

const ask = (...of: Parameters<typeof request>) => send(apiOf(settings, ports, ports.logger), ...of);

async function send(app: ReturnType<typeof apiOf>, ...of: Parameters<typeof request>) {
  const event = request(...of) as unknown as Parameters<ReturnType<typeof handle>>[0];
  const answer = await handle(app)(event, invocation() as never);
  const { statusCode, headers = {}, body, isBase64Encoded } = answer;
  const text = isBase64Encoded ? Buffer.from(body, 'base64').toString() : body;
  return {
    status: statusCode,
    headers: headers as Record<string, string>,
    body: text === '' ? undefined : JSON.parse(text),
  };
}

describe('a request of the gateway', () => {
  test('is answered with links that lead through the stage, under the gateway’s own id', async () => {
    const made = await ask('POST', '/api/v1/workspaces/default/models', {
      body: { name: 'ü 1+2' },
    });
    expect(made).toMatchObject({
      status: 201,
      headers: {
        location: '/cairn/api/v1/workspaces/default/models/%C3%BC%201%2B2',
        'x-request-id': 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef',
      },
    });
    const found = await ask('GET', '/api/v1/workspaces/default/models/%C3%BC%201%2B2');
    expect(found).toMatchObject({ status: 200, body: { name: 'ü 1+2' } });
    expect((await ask('GET', '/openapi.json')).body.servers).toEqual([{ url: ENV.CAIRN_PUBLIC_URL }]);
  });

  test('reaches no other route than it names', async () => {
    await ask('POST', '/api/v1/workspaces/default/models', { body: { name: 'digits' } });
    const sly = await ask('DELETE', '/api/v1/workspaces/default/models/digits/aliases/..');
    expect([sly.status, sly.body.code]).toEqual([400, 'INVALID_ARGUMENT']);
    expect((await ask('GET', '/api/v1/workspaces/default/models/digits')).status).toBe(200);
  });

  test('is one line in the log, without what may be secret', async () => {
    await ask('GET', '/api/v1/search', {
      headers: { Cookie: 'secret-cookie' },
    });
    expect(ports.lines).toMatchObject([
      {
        message: 'request',
        method: 'GET',
        route: '/api/v1/search',
        requestId: expect.stringMatching(/^c6af/),
      },
    ]);
    expect(JSON.stringify(ports.lines)).not.toMatch(/secret-|a-token-for/);
  });

  test('that completes an upload leaves verifying it to the queue', async () => {
    await ask('POST', '/api/v1/workspaces/default/models', { body: { name: 'digits' } });
    const sha256 = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
    const files = [{ path: 'a.txt', size: 5, sha256 }];
    const uploads = '/api/v1/workspaces/default/models/digits/uploads';
    const { id } = (await ask('POST', uploads, { body: { files } })).body;
    const parts = (await ask('POST', `${uploads}/${id}/parts`, { body: { path: 'a.txt' } })).body;
    await fetch(parts.items[0].url, { method: 'PUT', body: 'hello' });
    const answer = await ask('POST', `${uploads}/${id}/complete`);
    expect([answer.status, answer.body.status]).toEqual([202, 'PENDING']);
    expect(ports.sent.map(({ work }) => work)).toEqual([
      { workspace: 'default', name: 'digits', upload: id },
    ]);
  });
});

test('where nothing is served, there are no alarms and endpoints are refused', async () => {
  const endpoint = { name: 'digits', spec: { model: 'digits', target: { version: 1 } } };
  const refused = await ask('POST', '/api/v1/workspaces/default/endpoints', { body: endpoint });
  expect(refused.body.code).toBe('NOT_SUPPORTED');
  expect((await ask('GET', '/api/v1/workspaces/default/alarms')).body).toEqual({ items: [] });
});

describe('the workspace’s events', () => {
  const EVENTS = '/api/v1/workspaces/default/events';
  const models = '/api/v1/workspaces/default/models';

  /** What a client of server-sent events does: it comes again with the last id. */
  async function listen(last?: string) {
    const app = apiOf(settings, ports, ports.logger);
    const answer = await app.request(EVENTS, {
      headers: { authorization: `Bearer ${TOKEN}`, ...(last === undefined ? {} : { 'last-event-id': last }) },
    });
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    const text = await answer.text();
    const blocks = text.split('\n\n').map((block) => Object.fromEntries(block.split('\n').map(fieldOf)));
    return { text, told: blocks.filter(({ data }) => data), last: blocks.findLast(({ id }) => id)?.id };
  }
  const fieldOf = (line: string) => {
    const [, name = '', value = ''] = /^(\w+): (.*)$/.exec(line) ?? [];
    return [name, value];
  };
  const create = (name: string) => ask('POST', models, { body: { name } });

  test('are told from one answer to the next, each once and in order, over months and with many at once', async () => {
    await create('before');
    ports.clock.advance(5000);
    const begun = await listen();
    expect(begun.text).toBe(`retry: 3000\n\nid: ${begun.last}\n\n`);
    const names = Array.from({ length: 20 }, (_, index) => `m${index}`);
    for (const name of names) {
      await create(name);
      ports.clock.advance(4 * 24 * 3_600_000);
    }
    const next = await listen(begun.last);
    expect(next.told.map(({ data = '' }) => JSON.parse(data).data.subject)).toEqual(names);
    expect(next.told[0]).toMatchObject({ event: 'model.created', id: expect.stringMatching(/-7/) });
    expect((await listen(next.last)).told).toEqual([]);
  });

  test('are held back until no other function can have an older one on its way', async () => {
    ports.clock.advance(5000);
    const { last } = await listen();
    await create('just-now');
    const early = await listen(last);
    expect(early.told).toEqual([]);
    ports.clock.advance(2001);
    expect((await listen(early.last)).told).toHaveLength(1);
  });

  test('more than one answer takes come in the next', async () => {
    ports.clock.advance(60_000);
    const { last } = await listen();
    for (let index = 0; index < 501; index++) {
      await commit(ports, someone('ada', 'admin'), { ...CHANGE, chain: `model/${index % 7}` }, []);
    }
    ports.clock.advance(3000);
    const first = await listen(last);
    expect(first.told).toHaveLength(500);
    expect(first.last).toBe(first.told.at(-1)?.id);
    expect((await listen(first.last)).told).toHaveLength(1);
  });
});

const CHANGE = { workspace: 'default', action: 'model.updated', subject: 'x' };

test('a change that concerns an endpoint wakes its controller', async () => {
  settings = parseSettings(SERVING_ENV);
  await ask('POST', '/api/v1/workspaces/default/models', { body: { name: 'digits' } });
  const onnx = await readFile(join(import.meta.dirname, '../../models/digits/digits-v1.onnx'));
  const files = [{ path: 'model.onnx', content: onnx.toString('base64') }];
  await ask('POST', '/api/v1/workspaces/default/models/digits/versions', { body: { files } });
  const aliases = '/api/v1/workspaces/default/models/digits/aliases/champion';
  await ask('PUT', aliases, { body: { version: 1 } });
  expect(ports.sent).toEqual([]);
  const spec = { model: 'digits', target: { alias: 'champion' } };
  await ask('POST', '/api/v1/workspaces/default/endpoints', { body: { name: 'digits', spec } });
  await ask('PUT', aliases, { body: { version: 1, reason: 'again' } });
  await ask('DELETE', aliases);
  const woken = { endpoint: { workspace: 'default', endpoint: 'digits' } };
  expect(new Set(ports.sent.map(({ work }) => JSON.stringify(work)))).toEqual(
    new Set([JSON.stringify(woken)]),
  );
  expect(ports.sent.length).toBeGreaterThanOrEqual(2);
});

test('an alias leads to its version in one call of the table once it was asked for, in four before', async () => {
  await ask('POST', '/api/v1/workspaces/default/models', { body: { name: 'digits' } });
  const versions = '/api/v1/workspaces/default/models/digits/versions';
  const files = [{ path: 'a.txt', content: 'YQ==' }];
  for (const _ of [1, 2]) await ask('POST', versions, { body: { files } });
  const alias = '/api/v1/workspaces/default/models/digits/aliases/champion';
  await ask('PUT', alias, { body: { version: 1 } });

  const calls: string[] = [];
  const table = new Proxy(ports.table, {
    get(to, name: keyof typeof ports.table) {
      return (...input: never[]) => {
        calls.push(name);
        return (to[name] as (...input: never[]) => unknown)(...input);
      };
    },
  });
  const app = apiOf(settings, { ...ports, table }, ports.logger);
  const asked = async () => {
    calls.length = 0;
    const { status, body } = await send(app, 'GET', alias);
    return { status, version: body.modelVersion.version, calls: [...calls] };
  };
  const cold = await asked();
  expect(cold).toMatchObject({ status: 200, version: 1 });
  expect(cold.calls.length).toBeLessThanOrEqual(4);
  expect(await asked()).toEqual({ status: 200, version: 1, calls: ['getMany'] });

  // What was remembered are keys, not answers.
  await ask('PUT', alias, { body: { version: 2 } });
  expect(await asked()).toEqual({ status: 200, version: 2, calls: ['getMany', 'get'] });
  expect(await asked()).toEqual({ status: 200, version: 2, calls: ['getMany'] });
});
