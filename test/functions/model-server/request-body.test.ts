import { type ClientRequest, request } from 'node:http';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { digitsModel } from './digits-data.ts';
import { type StartedServer, startReady } from './start.ts';

const MIB = 1024 * 1024;
const INFER = '/v2/models/digits/infer';

let server: StartedServer;
beforeAll(async () => {
  server = await startReady(digitsModel('digits-v2'), { environment: { CAIRN_MEMORY_MIB: '64' } });
});
afterAll(() => server.stop());

const inBinary = { 'inference-header-content-length': '2' };

test('JSON is taken up to a 64th of the memory, since parsing it takes many times its length', async () => {
  const body = Buffer.alloc(MIB + 1, ' ');
  for (const path of [INFER, '/invocations']) {
    const reply = await server.send('POST', path, { body });
    expect([reply.status, reply.json().error]).toEqual([
      413,
      'JSON of more than 1048576 bytes is not taken: send tensors in binary, or give the endpoint more memory',
    ]);
  }
});

test('binary tensors are taken up to an eighth of the memory', async () => {
  const within = await server.send('POST', INFER, { body: Buffer.alloc(2 * MIB, '{}'), headers: inBinary });
  expect(within.status).toBe(400);
  const beyond = await server.send('POST', INFER, { body: Buffer.alloc(8 * MIB + 1), headers: inBinary });
  expect([beyond.status, beyond.json().error]).toEqual([413, 'the body is longer than 8388608 bytes']);
});

test('a body that has no room beside others is answered 503 until they are gone', async () => {
  let slow: ClientRequest;
  const hold = () => {
    slow = begin(7 * MIB).on('error', () => undefined);
    // It is the one that is refused when it comes beside the other: another one takes its place.
    slow.once('response', hold);
    slow.write(Buffer.alloc(6 * MIB));
  };
  hold();
  const send = () => server.send('POST', INFER, { body: Buffer.alloc(3 * MIB, '{}'), headers: inBinary });
  await vi.waitFor(async () => expect((await send()).status).toBe(503), { timeout: 30_000 });
  await vi.waitFor(
    async () => {
      slow.removeAllListeners('response').destroy();
      expect((await send()).status).toBe(400);
    },
    { timeout: 30_000 },
  );
});

function begin(length: number): ClientRequest {
  const headers = { ...inBinary, 'content-length': length };
  return request({ port: server.port, host: '127.0.0.1', method: 'POST', path: INFER, headers });
}
