import { createServer, type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { problemResponse } from '../../../functions/api/problem.ts';
import { CairnError } from '../../../shared/errors.ts';
import { BlobError } from '../../../shared/ports/blob-store.ts';
import { ConditionFailed } from '../../../shared/ports/table.ts';
import { type Api, everything, openApi, textFile, V1 } from './api-fixture.ts';

let api: Api;
beforeEach(async () => {
  api = await openApi();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await api.close();
});

describe('authentication', () => {
  const whoami = (authorization: string) =>
    api.call('GET', '/api/v1/whoami', { token: null, headers: { authorization } });

  test('a token is taken as Bearer, or as Basic’s password', async () => {
    const basic = (pair: string) => `Basic ${Buffer.from(pair).toString('base64')}`;
    expect((await whoami(`Bearer ${api.admin}`)).json).toMatchObject({
      principal: 'admin',
      grants: [everything('admin')],
    });
    expect((await whoami(`bearer ${api.admin}`)).status).toBe(200);
    expect((await whoami(basic(`git:${api.admin}`))).status).toBe(200);
    expect((await whoami(basic(`:${api.admin}`))).status).toBe(200);
  });

  test.each(['Bearer', 'Bearer cairn_x', 'Digest abc', 'cairn', 'Basic !!!', 'Bearer a b'])(
    '%s is refused',
    async (authorization) => {
      const answer = await whoami(authorization);
      expect(answer.json).toMatchObject({ code: 'UNAUTHENTICATED', status: 401 });
      expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    },
  );

  test('a token is refused from its revocation and its expiry on', async () => {
    const body = {
      principal: 'ci',
      grants: [{ role: 'viewer', workspace: 'default' }],
      expiresAt: '2026-01-02T00:00:00+01:00',
    };
    const made = await api.call('POST', '/api/v1/tokens', { body });
    expect(made.status).toBe(201);
    expect(made.headers.get('cache-control')).toBe('no-store');
    expect(made.json).toMatchObject({
      principal: 'ci',
      expiresAt: '2026-01-01T23:00:00.000Z',
      createdBy: 'admin',
    });
    const other = await api.call('POST', '/api/v1/tokens', { body });
    expect((await whoami(`Bearer ${made.json.token}`)).status).toBe(200);
    expect((await api.call('DELETE', `/api/v1/tokens/${made.json.id}?reason=lost`)).status).toBe(204);
    expect((await whoami(`Bearer ${made.json.token}`)).json.detail).toContain('revoked');
    api.ports.clock.advance(24 * 3600 * 1000);
    expect((await whoami(`Bearer ${other.json.token}`)).json.detail).toContain('expired');
    const { json } = await api.call('GET', '/api/v1/tokens');
    expect(JSON.stringify(json)).not.toMatch(/hash|cairn_/);
    expect(json.items).toHaveLength(3);
    expect((await api.call('DELETE', '/api/v1/tokens/nobody')).json.code).toBe('TOKEN_NOT_FOUND');
  });
});

describe('request ids', () => {
  test('a sane one is kept, any other replaced', async () => {
    const id = async (sent?: string) =>
      (
        await api.call('GET', '/healthz', { headers: sent === undefined ? {} : { 'x-request-id': sent } })
      ).headers.get('x-request-id');
    expect(await id('build-42.retry:1')).toBe('build-42.retry:1');
    expect(await id('short')).toMatch(/^[0-9a-f-]{36}$/);
    expect(await id('<script>alert(1)</script>')).toMatch(/^[0-9a-f-]{36}$/);
    expect(await id()).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('the audit trail has it', async () => {
    await api.call('POST', `${V1}/models`, {
      body: { name: 'digits' },
      headers: { 'x-request-id': 'request-of-ada' },
    });
    expect((await api.call('GET', `${V1}/audit?limit=1`)).json.items[0]).toMatchObject({
      requestId: 'request-of-ada',
      action: 'model.created',
    });
  });
});

describe('errors', () => {
  test('what is not expected tells nothing and is logged with the request’s id', async () => {
    vi.spyOn(api.ports.table, 'query').mockRejectedValue(new Error('the password is swordfish'));
    const { status, json } = await api.call('GET', `${V1}/models`);
    expect([status, json.code]).toEqual([500, 'INTERNAL']);
    expect(JSON.stringify(json)).not.toContain('swordfish');
    const logged = api.log.find(({ level }) => level === 'error');
    expect(logged?.fields).toMatchObject({
      requestId: json.requestId,
      err: expect.objectContaining({ message: 'the password is swordfish' }),
    });
  });

  test.each([
    [new ConditionFailed([0]), 'CONFLICT'],
    [Object.assign(new Error('no space'), { code: 'ENOSPC' }), 'STORAGE_FULL'],
    [new BlobError('NO_SPACE', 'workspaces/secret'), 'STORAGE_FULL'],
    [new BlobError('UNAVAILABLE', 'workspaces/secret'), 'STORAGE_UNAVAILABLE'],
    [new BlobError('DIGEST_MISMATCH', 'workspaces/secret'), 'DIGEST_MISMATCH'],
    [new BlobError('NOT_FOUND', 'workspaces/secret'), 'FILE_NOT_FOUND'],
  ])('%s is answered as a problem', async (error, code) => {
    vi.spyOn(api.ports.table, 'query').mockRejectedValue(error);
    const { json } = await api.call('GET', `${V1}/models`);
    expect(json.code).toBe(code);
    expect(JSON.stringify(json)).not.toContain('workspaces/secret');
  });
});

test('the access log has one line for each request, without a query, a token or a body', async () => {
  await api.call('POST', `${V1}/models`, { body: { name: 'swordfish' } });
  await api.call('GET', `${V1}/models/swordfish?secret=swordfish`);
  const lines = api.log.filter(({ text }) => text === 'request');
  expect(lines.map(({ fields }) => [fields.method, fields.route, fields.status, fields.principal])).toEqual([
    ['POST', '/api/v1/workspaces/:workspace/models', 201, 'admin'],
    ['GET', '/api/v1/workspaces/:workspace/models/:model', 400, 'admin'],
  ]);
  expect(JSON.stringify(lines)).not.toMatch(/swordfish|cairn_/);
  expect(lines[0]?.fields).toMatchObject({ ms: expect.any(Number), requestId: expect.any(String) });
});

describe('lists', () => {
  test.each([1, 2, 3, 1000])('are read to the end in pages of %i', async (limit) => {
    const names = ['a', 'b', 'ü', '数'];
    for (const name of names) await api.call('POST', `${V1}/models`, { body: { name } });
    for (let n = 0; n < 5; n++)
      await api.call('POST', `${V1}/models/a/versions`, {
        body: { files: ['x', 'y/ü', 'z'].map((path) => textFile(`${n}`, path)) },
      });
    for (let n = 1; n <= 3; n++)
      await api.call('PUT', `${V1}/models/a/aliases/a${n}`, { body: { version: n } });
    for (let n = 1; n <= 4; n++) await api.call('PUT', `${V1}/models/a/aliases/a1`, { body: { version: n } });
    const all = async (path: string) => {
      // biome-ignore lint/suspicious/noExplicitAny: items of several lists
      const items: any[] = [];
      for (let cursor = ''; ; ) {
        const { json } = await api.call('GET', `${path}?limit=${limit}${cursor}`);
        expect(json.items.length).toBeLessThanOrEqual(limit);
        items.push(...json.items);
        if (json.nextCursor === undefined) return items;
        cursor = `&cursor=${json.nextCursor}`;
      }
    };
    expect((await all(`${V1}/models`)).map(({ name }) => name)).toEqual(names);
    expect((await all(`${V1}/models/a/versions`)).map(({ version }) => version)).toEqual([5, 4, 3, 2, 1]);
    expect((await all(`${V1}/models/a/versions/1/files`)).map(({ path }) => path)).toEqual(['x', 'y/ü', 'z']);
    expect((await all(`${V1}/models/a/aliases`)).map(({ alias }) => alias)).toEqual(['a1', 'a2', 'a3']);
    expect((await all(`${V1}/models/a/aliases/a1/history`)).map(({ to }) => to)).toEqual([4, 3, 2, 1, 1]);
    expect((await all('/api/v1/tokens')).length).toBe(1);
    expect((await all('/api/v1/workspaces')).length).toBe(1);
  });
});

describe('audit', () => {
  test('is listed newest first, by resource and page by page, and verified', async () => {
    const model = (await api.call('POST', `${V1}/models`, { body: { name: 'digits' } })).json;
    for (const description of ['one', 'two'])
      await api.call('PATCH', `${V1}/models/digits`, { body: { description } });
    const { json } = await api.call('GET', `${V1}/audit`);
    const actions = json.items.map(({ action }: { action: string }) => action);
    expect(actions.slice(0, 3)).toEqual(['model.updated', 'model.updated', 'model.created']);
    expect(json.items[0]).toMatchObject({ at: '2026-01-01T00:00:00.000Z', actor: { principal: 'admin' } });
    const rest = await api.call('GET', `${V1}/audit?before=${json.items[1].id}`);
    expect(rest.json.items).toEqual(json.items.slice(2));
    const own = await api.call('GET', `${V1}/audit?resource=model/${model.id}&limit=2`);
    expect(own.json.items.map(({ seq }: { seq: number }) => seq)).toEqual([3, 2]);
    const older = await api.call(
      'GET',
      `${V1}/audit?resource=model/${model.id}&before=${own.json.items[1].id}`,
    );
    expect(older.json.items.map(({ seq }: { seq: number }) => seq)).toEqual([1]);
    expect((await api.call('GET', `${V1}/audit/verification`)).json).toMatchObject({
      ok: true,
      problems: [],
    });
  });

  test('events are streamed, those of the workspace only', async () => {
    const response = await api.app.request(`${V1}/events`, {
      headers: { authorization: `Bearer ${api.admin}` },
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe(': connected\n\n');
    expect((await reader?.read())?.value).toMatch(/^id: [0-9a-f-]{36}\n\n$/);
    const event = { id: 'e1', workspace: 'other', type: 'alias.moved', resource: 'model/1', at: 0, data: {} };
    api.emit(event);
    api.emit({ ...event, id: 'e2', workspace: 'default', data: { subject: 'a\nb' } });
    const text = (await reader?.read())?.value ?? '';
    expect(text).toMatch(/^id: e2\nevent: alias.moved\ndata: \{.*\}\n\n$/);
    expect(JSON.parse(text.split('data: ')[1] ?? '')).toMatchObject({
      data: { subject: 'a\nb' },
      at: '1970-01-01T00:00:00.000Z',
    });
    await reader?.cancel();
  });

  test('a stream goes on after the event that the client has, with what happened meanwhile', async () => {
    const created = async (name: string) => {
      const { json } = await api.call('POST', `${V1}/models`, { body: { name } });
      return (await api.call('GET', `${V1}/audit?resource=model/${json.id}&limit=1`)).json.items[0].id;
    };
    const first = await created('first');
    const second = await created('second');
    const response = await api.app.request(`${V1}/events`, {
      headers: { authorization: `Bearer ${api.admin}`, 'last-event-id': first },
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe(': connected\n\n');
    expect((await reader?.read())?.value).toMatch(new RegExp(`^id: ${second}\nevent: model.created\n`));
    api.emit({ id: 'e9', workspace: 'default', type: 'x', resource: 'model/1', at: 0, data: {} });
    expect((await reader?.read())?.value).toMatch(/^id: e9\n/);
    await reader?.cancel();
  });

  test('a stream after something that is no event is refused, and one after an empty id begins now', async () => {
    const ask = (id: string) =>
      api.app.request(`${V1}/events`, {
        headers: { authorization: `Bearer ${api.admin}`, 'last-event-id': id },
      });
    const refused = await ask('42');
    expect([refused.status, await refused.json()]).toEqual([
      400,
      expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'Last-Event-ID' }),
    ]);
    const begun = await ask('');
    expect(begun.status).toBe(200);
    await begun.body?.cancel();
  });

  test('a stream after an event of the far future waits for what happens', async () => {
    const response = await api.app.request(`${V1}/events`, {
      headers: {
        authorization: `Bearer ${api.admin}`,
        'last-event-id': 'ffffffff-ffff-7000-8000-000000000000',
      },
    });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe(': connected\n\n');
    api.emit({ id: 'e1', workspace: 'default', type: 'x', resource: 'model/1', at: 0, data: {} });
    expect((await reader?.read())?.value).toMatch(/^id: e1\n/);
    await reader?.cancel();
  });

  test('a stream of events ends soon after its token was revoked', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const token = await api.token('vi', everything('viewer'));
      const response = await api.app.request(`${V1}/events`, {
        headers: { authorization: `Bearer ${token}` },
      });
      const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
      expect((await reader?.read())?.value).toBe(': connected\n\n');
      expect((await reader?.read())?.value).toMatch(/^id: [0-9a-f-]{36}\n\n$/);
      vi.advanceTimersByTime(15_000);
      expect((await reader?.read())?.value).toBe(':\n\n');
      await api.call('DELETE', `/api/v1/tokens/${token.split('_')[1]}`);
      vi.advanceTimersByTime(15_000);
      expect((await reader?.read())?.done).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });
});

test('a client that goes away in the middle of its bytes is no error of the service', () => {
  const logger = { info: vi.fn(), error: vi.fn(), isLevelEnabled: () => true };
  problemResponse(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }), 'r1', logger);
  expect(logger.error).not.toHaveBeenCalled();
  problemResponse(Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), 'r2', logger);
  expect(logger.error).toHaveBeenCalledOnce();
});

describe('the service itself', () => {
  test('tells that it lives, its version and its metrics', async () => {
    expect((await api.call('GET', '/healthz', { token: null })).json).toEqual({ status: 'ok' });
    expect((await api.call('GET', '/readyz', { token: null })).json).toEqual({ status: 'ok' });
    expect((await api.call('GET', '/version', { token: null })).json).toEqual({
      name: 'cairn',
      version: '1.2.3',
      api: 'v1',
    });
    expect((await api.call('GET', '/metrics')).json).toContain('# HELP');
  });

  test('tells when it is not ready, and what it does not have', async () => {
    const bare = await openApi(({ ports, alarms, logger, version }) => ({
      ports,
      alarms,
      logger,
      version,
      ready: async () => {
        throw new Error('the disk is gone');
      },
    }));
    const { status, json } = await bare.call('GET', '/readyz');
    expect([status, json]).toEqual([503, { status: 'unavailable' }]);
    for (const path of ['/docs', '/metrics'])
      expect((await bare.call('GET', path)).json.code).toBe('NOT_SUPPORTED');
    const spec = { model: 'x', target: { version: 1 } };
    expect((await bare.call('POST', `${V1}/endpoints`, { body: { name: 'e', spec } })).json.code).toBe(
      'NOT_SUPPORTED',
    );
    await bare.close();
  });

  test('tells why it is not ready, where a person can do something about it', async () => {
    const full = await openApi((deps) => ({
      ...deps,
      ready: async () => {
        throw new CairnError('STORAGE_FULL', 'Only 3 MiB are free.');
      },
    }));
    const { status, json } = await full.call('GET', '/readyz');
    expect([status, json]).toEqual([
      503,
      { status: 'unavailable', code: 'STORAGE_FULL', detail: 'Only 3 MiB are free.' },
    ]);
    await full.close();
  });
});

describe('behind a real server', () => {
  test('paths that a URL parser would change are refused, and a body that does not end is cut off', async () => {
    const server = createServer(getRequestListener(api.app.fetch));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const headers = { authorization: `Bearer ${api.admin}` };
    const send = (path: string, method = 'GET', chunks = 0) =>
      new Promise<{ status: number; json: { code: string; field: string } }>((resolve, reject) => {
        const type = chunks > 0 ? { 'content-type': 'application/json' } : {};
        const sent = request(
          { port, path, method, headers: { ...headers, ...type }, agent: false },
          (response: IncomingMessage) => {
            let text = '';
            response.setEncoding('utf8').on('data', (part) => (text += part));
            response.on('end', () => resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) }));
          },
        );
        sent.on('error', reject);
        for (let n = 0; n < chunks; n++) sent.write(Buffer.alloc(65_536, ' '));
        sent.end();
      });
    for (const path of ['/..', '/%2e%2e', '/.', '/../versions']) {
      expect((await send(`${V1}/models${path}`)).json).toMatchObject({
        code: 'INVALID_ARGUMENT',
        field: 'model',
      });
    }
    expect((await send(`${V1}/models/%zz`)).json).toMatchObject({ code: 'INVALID_ARGUMENT', field: 'model' });
    expect((await send(`${V1}/models`, 'POST', 100)).json.code).toBe('TOO_LARGE');
    server.closeAllConnections();
    server.close();
  });
});
