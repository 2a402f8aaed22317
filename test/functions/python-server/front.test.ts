import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { createMetrics } from '../../../functions/model-server/metrics.ts';
import { createFront } from '../../../functions/python-server/front.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

async function listening(server: Server): Promise<number> {
  servers.push(server.listen(0, '127.0.0.1'));
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** The front before a process that does as `upstream` says, and what it has recorded. */
async function front(upstream: Parameters<typeof createServer>[1]) {
  const record = vi.fn();
  const port = await listening(
    createFront({
      port: await listening(createServer(upstream)),
      basePath: '/endpoints/default/e',
      headers: { 'cairn-revision': '3' },
      metrics: createMetrics({ name: 'm', version: '1' }),
      log: () => undefined,
      record,
      draining: () => false,
    }),
  );
  return { record, url: `http://127.0.0.1:${port}/endpoints/default/e` };
}

test('the model’s process gets the native path and none of the caller’s credentials', async () => {
  const seen: unknown[] = [];
  const { record, url } = await front((req, res) => {
    seen.push(req.url, req.headers.authorization, req.headers.cookie);
    res.end('{}');
  });
  const headers = { authorization: 'Bearer secret', cookie: 'a=b' };
  const answer = await fetch(`${url}/invocations`, { method: 'POST', headers, body: '{}' });
  expect([answer.status, answer.headers.get('cairn-revision')]).toEqual([200, '3']);
  expect(seen).toEqual(['/invocations', undefined, undefined]);
  expect(record).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ status: 200 }));
});

test('what is no path of the protocols is not passed on', async () => {
  const upstream = vi.fn();
  const { url } = await front(upstream);
  expect((await fetch(`${url}/docs`)).status).toBe(404);
  expect(upstream).not.toHaveBeenCalled();
});

test('a process that breaks off is an error of the model, and a caller that goes is none', async () => {
  const broken = await front((req) => req.socket.destroy());
  expect((await fetch(`${broken.url}/invocations`, { method: 'POST', body: '{}' })).status).toBe(502);
  expect(broken.record).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ status: 502 }));

  const arrived = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const slow = await front((req, res) => {
    arrived.resolve();
    res.on('close', left.resolve);
    req.resume();
  });
  const stop = new AbortController();
  const asked = fetch(`${slow.url}/invocations`, { method: 'POST', body: '{}', signal: stop.signal });
  await arrived.promise;
  stop.abort();
  await expect(asked).rejects.toThrow();
  await left.promise;
  expect(slow.record).not.toHaveBeenCalled();
});
