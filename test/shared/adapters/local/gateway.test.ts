import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  createGateway,
  type GatewaySample,
  parseEndpointUrl,
} from '../../../../shared/adapters/local/gateway.ts';
import { pick, type RoutedRevision, Upstream } from '../../../../shared/adapters/local/gateway-upstream.ts';
import { CairnError } from '../../../../shared/errors.ts';

const servers: { close(): unknown; closeAllConnections?(): void }[] = [];
const upstreams: Upstream[] = [];
afterEach(() => {
  for (const upstream of upstreams.splice(0)) upstream.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections?.();
    server.close();
  }
});

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function replica(handler: (req: IncomingMessage, res: ServerResponse) => void): Promise<Upstream> {
  return connect(await listen(createServer(handler)));
}

function connect(port: number): Upstream {
  const upstream = new Upstream('127.0.0.1', port);
  upstreams.push(upstream);
  return upstream;
}

/** A replica that dies as soon as a request arrives. */
const dying = async () =>
  connect(await listen(createTcpServer((socket) => socket.once('data', () => socket.resetAndDestroy()))));

const revision = (number: number, weight: number, ...replicas: Upstream[]): RoutedRevision => ({
  revision: number,
  version: number * 10,
  weight,
  upstreams: replicas,
});

async function gatewayTo(routes: RoutedRevision[], authorise = async () => {}, timeout = 10_000) {
  const samples: GatewaySample[] = [];
  const errors: unknown[] = [];
  const gateway = createGateway({
    routes: () => routes,
    authorise,
    record: (sample) => samples.push(sample),
    problemOf: ({ code, detail }, requestId) => ({ code, detail, requestId }),
    onError: (error) => errors.push(error),
    timeout,
  });
  const port = await listen(
    createServer((req, res) => {
      const target = parseEndpointUrl(req.url ?? '');
      if (target) void gateway(req, res, target);
      else res.writeHead(404).end();
    }),
  );
  return { samples, errors, port, base: `http://127.0.0.1:${port}/endpoints/default/digits` };
}

const echo = (req: IncomingMessage, res: ServerResponse) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const body = Buffer.concat(chunks);
    res.writeHead(200, {
      'content-type': 'application/json',
      connection: 'keep-alive, x-private',
      'x-private': '1',
      'server-timing': 'model;dur=1.5, queue;dur=0.25',
    });
    res.end(JSON.stringify({ url: req.url, method: req.method, headers: req.headers, size: body.length }));
  });
};

describe('the gateway', () => {
  test('sends the native path on, with the request’s id and without credentials or hop-by-hop headers', async () => {
    const { base, samples } = await gatewayTo([revision(3, 100, await replica(echo))]);
    const response = await fetch(`${base}/v2/models/r%C3%A9sum%C3%A9%20v2.0/infer?x=1`, {
      method: 'POST',
      body: 'hello',
      headers: {
        authorization: 'Bearer cairn_1_secret',
        cookie: 'a=b',
        'x-request-id': 'abc',
        te: 'trailers',
      },
    });
    const seen = (await response.json()) as { url: string; headers: Record<string, string>; size: number };
    expect(response.status).toBe(200);
    expect(seen).toMatchObject({
      url: '/v2/models/r%C3%A9sum%C3%A9%20v2.0/infer?x=1',
      method: 'POST',
      size: 5,
    });
    expect(seen.headers).toMatchObject({ 'x-request-id': 'abc', 'content-length': '5' });
    for (const name of ['authorization', 'cookie', 'te']) expect(seen.headers).not.toHaveProperty(name);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'cairn-revision': '3',
      'cairn-version': '30',
      'x-request-id': 'abc',
    });
    expect(response.headers.has('x-private')).toBe(false);
    expect(samples).toEqual([
      {
        workspace: 'default',
        endpoint: 'digits',
        revision: 3,
        status: 200,
        latencyMs: expect.any(Number),
        modelMs: 1.5,
        queueMs: 0.25,
      },
    ]);
  });

  test.each(['metrics', '', 'v2/../metrics', 'v3/models', 'invocationsx'])(
    'does not expose %j',
    async (path) => {
      const { port } = await gatewayTo([revision(1, 100, await replica(echo))]);
      const status = await new Promise((resolve, reject) => {
        const outgoing = request(
          { host: '127.0.0.1', port, path: `/endpoints/default/digits/${path}` },
          (res) => {
            res.resume();
            resolve(res.statusCode);
          },
        );
        outgoing.on('error', reject).end();
      });
      expect(status).toBe(404);
    },
  );

  test('answers 503 with a problem while nothing serves, and lets the weighted revision account for it', async () => {
    const { base, samples } = await gatewayTo([revision(2, 100)]);
    const response = await fetch(`${base}/ping`);
    expect(response.status).toBe(503);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
    expect(await response.json()).toMatchObject({
      code: 'ENDPOINT_NOT_READY',
      requestId: response.headers.get('x-request-id'),
    });
    expect(samples).toMatchObject([{ revision: 2, status: 503 }]);
  });

  test('asks for authorisation first', async () => {
    const handler = vi.fn(echo);
    const { base, samples } = await gatewayTo([revision(1, 100, await replica(handler))], async () => {
      throw new CairnError('UNAUTHENTICATED', 'There is no token.');
    });
    const response = await fetch(`${base}/ping`);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toContain('Bearer');
    expect(handler).not.toHaveBeenCalled();
    expect(samples).toEqual([]);
  });

  test('sends a request whose replica dies to another one', async () => {
    const { base } = await gatewayTo([revision(1, 100, await dying(), await replica(echo))]);
    for (let i = 0; i < 20; i++) {
      const response = await fetch(`${base}/invocations`, { method: 'POST', body: 'x'.repeat(1000) });
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ size: 1000 });
    }
  });

  test('sends it to another revision with weight if the revision’s replicas are all down', async () => {
    const { base } = await gatewayTo([revision(1, 99, await dying()), revision(2, 1, await replica(echo))]);
    const response = await fetch(`${base}/invocations`, { method: 'POST', body: 'x' });
    expect(response.headers.get('cairn-revision')).toBe('2');
  });

  test('answers 502 when no replica is left', async () => {
    const { base, samples } = await gatewayTo([revision(1, 100, await dying(), await dying())]);
    const response = await fetch(`${base}/invocations`, { method: 'POST', body: 'x' });
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ code: 'REPLICA_FAILED' });
    expect(samples).toMatchObject([{ status: 502 }]);
  });

  test('answers 502 when the replica takes too long', async () => {
    const { base } = await gatewayTo([revision(1, 100, await replica(() => {}))], undefined, 50);
    expect((await fetch(`${base}/ping`)).status).toBe(502);
  });

  test('streams bodies that are too large to keep', async () => {
    const { base } = await gatewayTo([revision(1, 100, await replica(echo))]);
    const response = await fetch(`${base}/invocations`, { method: 'POST', body: Buffer.alloc(20_000_000) });
    expect(await response.json()).toMatchObject({ size: 20_000_000 });
  });

  test('uses a replica again whose idle connection was closed', async () => {
    const server = createServer(echo);
    const upstream = connect(await listen(server));
    const { base } = await gatewayTo([revision(1, 100, upstream)]);
    for (let i = 0; i < 10; i++) {
      expect((await fetch(`${base}/ping`)).status).toBe(200);
      server.closeIdleConnections();
    }
  });

  test('ends the replica’s request when the client goes away', async () => {
    let gone = false;
    const upstream = await replica((_, res) =>
      res.on('close', () => {
        gone = true;
      }),
    );
    const { base, samples, errors } = await gatewayTo([revision(1, 100, upstream)]);
    const abort = new AbortController();
    const response = fetch(`${base}/ping`, { signal: abort.signal });
    await vi.waitFor(() => expect(upstream.inFlight).toBe(1));
    abort.abort();
    await expect(response).rejects.toThrow();
    await vi.waitFor(() => expect(gone).toBe(true));
    expect(upstream.inFlight).toBe(0);
    expect(samples).toEqual([]);
    expect(errors).toEqual([]);
  });

  test('does not pass a torn answer off as a whole one', async () => {
    const upstream = await replica((_, res) => {
      res.writeHead(200, { 'content-length': '1000' });
      res.write('half', () => res.destroy());
    });
    const { base, samples } = await gatewayTo([revision(1, 100, upstream)]);
    await expect(fetch(`${base}/ping`).then((response) => response.text())).rejects.toThrow();
    await vi.waitFor(() => expect(samples).toMatchObject([{ status: 502 }]));
    expect(upstream.inFlight).toBe(0);
  });
});

describe('choosing a replica', () => {
  const idle = () => new Upstream('127.0.0.1', 1);

  test('takes the least busy one', () => {
    const [busy, free] = [idle(), idle()];
    busy.acquire();
    expect(pick([revision(1, 100, busy, free)], 0)?.upstream).toBe(free);
  });

  test('gives each revision its share of the random range', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        fc.integer({ min: 0, max: 100 }),
        (random, weight) => {
          const chosen = pick([revision(1, 100 - weight, idle()), revision(2, weight, idle())], random);
          expect(chosen?.revision.revision).toBe(random * 100 < 100 - weight ? 1 : 2);
        },
      ),
    );
  });
});

test.each([
  [
    '/endpoints/default/digits/v2/models/a%20b/infer?x=1',
    { workspace: 'default', endpoint: 'digits', rest: 'v2/models/a%20b/infer?x=1' },
  ],
  ['/endpoints/default/digits/', { workspace: 'default', endpoint: 'digits', rest: '' }],
  ['/endpoints/default/digits', undefined],
  ['/endpoints/%E0%A4%A/x/ping', undefined],
  ['/api/v1/endpoints/default/digits/ping', undefined],
])('reads the address %s', (url, target) => expect(parseEndpointUrl(url)).toEqual(target));
