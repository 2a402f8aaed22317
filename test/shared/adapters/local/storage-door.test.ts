import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type RequestOptions, request, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type FilesystemBlobStore,
  openFilesystemBlobStore,
} from '../../../../shared/adapters/local/filesystem-blob-store.ts';
import { storageDoor } from '../../../../shared/adapters/local/storage-door.ts';
import { BlobError } from '../../../../shared/ports/blob-store.ts';

describe('the storage door', () => {
  let root: string;
  let server: Server;
  let store: FilesystemBlobStore;
  let failures: unknown[];
  let now: number;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'cairn-door-'));
    now = Date.now();
    failures = [];
    server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    store = await openFilesystemBlobStore({
      root,
      baseUrl: () => `http://127.0.0.1:${port}`,
      signingKey: new Uint8Array(32),
      clock: { now: () => now },
    });
    const door = storageDoor(store);
    server.on('request', (req, res) => void door(req, res).catch((error) => failures.push(error)));
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(root, { recursive: true });
  });

  const unfinished = () => readdir(join(root, 'unfinished'));
  const send = (url: string, options: RequestOptions, body: (string | Buffer)[] = []) =>
    new Promise<{ status: number | undefined; headers: IncomingMessage['headers']; body: string }>(
      (resolve, reject) => {
        const outgoing = request(url, options, (answer) => {
          text(answer).then(
            (read) => resolve({ status: answer.statusCode, headers: answer.headers, body: read }),
            reject,
          );
        });
        outgoing.on('error', reject);
        for (const chunk of body) outgoing.write(chunk);
        outgoing.end();
      },
    );

  it('tells the size by HEAD and sends nothing, ranges or not', async () => {
    await store.put('a', Buffer.from('hello'));
    const url = await store.presignGet('a', { expiresIn: 60 });
    const answer = await fetch(url, { method: 'HEAD', headers: { range: 'bytes=1-2' } });
    expect([answer.status, answer.headers.get('content-length')]).toEqual([200, '5']);
    expect(await answer.text()).toBe('');
  });

  it('never lets a browser guess a type or run what users stored', async () => {
    await store.put('a', Buffer.from('<script>'));
    const { headers } = await fetch(await store.presignGet('a', { expiresIn: 60 }));
    expect(headers.get('content-type')).toBe('application/octet-stream');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain('sandbox');
  });

  it('answers ranges by RFC 9110', async () => {
    await store.put('a', Buffer.from('0123456789'));
    await store.put('empty', Buffer.alloc(0));
    const url = await store.presignGet('a', { expiresIn: 60 });
    const ask = async (range: string, more: Record<string, string> = {}) => {
      const answer = await fetch(url, { headers: { range, ...more } });
      return [answer.status, await answer.text()];
    };
    expect(await ask('bytes=2-3')).toEqual([206, '23']);
    expect(await ask('bytes=-20')).toEqual([206, '0123456789']);
    for (const ignored of ['bytes=3-2', 'bytes=-', 'bytes=a-b', 'items=0-1', 'bytes=0-1,4-5', '0-1']) {
      expect(await ask(ignored)).toEqual([200, '0123456789']);
    }
    expect((await ask('bytes=-0'))[0]).toBe(416);
    const outside = await fetch(url, { headers: { range: 'bytes=10-' } });
    expect(outside.headers.get('content-range')).toBe('bytes */10');
    expect(await outside.json()).toMatchObject({ status: 416, code: 'RANGE_NOT_SATISFIABLE' });
    const etag = (await fetch(url)).headers.get('etag') ?? '';
    expect(await ask('bytes=2-3', { 'if-range': etag })).toEqual([206, '23']);
    expect(await ask('bytes=2-3', { 'if-range': '"other"' })).toEqual([200, '0123456789']);
    const empty = await fetch(await store.presignGet('empty', { expiresIn: 60 }));
    expect([empty.status, empty.headers.get('content-length'), await empty.text()]).toEqual([200, '0', '']);
  });

  it('tells errors as problem+json with a code', async () => {
    const get = await store.presignGet('nothing', { expiresIn: 60 });
    const part = await store.presignPart('a', '0'.repeat(32), { number: 1, size: 1, expiresIn: 60 });
    const problem = async (url: string, init: RequestInit = {}) => {
      const answer = await fetch(url, init);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
      const body = (await answer.json()) as { status: number; code: string; detail: string };
      expect(body.status).toBe(answer.status);
      return [body.status, body.code, body.detail];
    };
    expect(await problem(get)).toEqual([404, 'FILE_NOT_FOUND', expect.any(String)]);
    expect(await problem(part, { method: 'PUT', body: 'x' })).toEqual([
      404,
      'UPLOAD_NOT_FOUND',
      expect.any(String),
    ]);
    expect(await problem(get, { method: 'DELETE' })).toEqual([405, 'METHOD_NOT_ALLOWED', expect.any(String)]);
    expect(await problem(get.replace(/.$/, 'x'))).toEqual([
      403,
      'PERMISSION_DENIED',
      expect.stringContaining('does not match'),
    ]);
    now += 60_000;
    expect(await problem(get)).toEqual([403, 'PERMISSION_DENIED', expect.stringContaining('has expired')]);
    expect(failures).toEqual([]);
  });

  it.each([
    '/storage/',
    '/storage/%ff?signature=x',
    '/storage/a?op=get',
    '/storage/a/../b?signature=é',
    '//storage/a',
  ])('refuses the address %s', async (path) => {
    const { port } = server.address() as AddressInfo;
    const answer = await send(`http://127.0.0.1:${port}/`, { path: encodeURI(path).replaceAll('%25', '%') });
    expect(answer.status).toBe(403);
  });

  it('refuses a size that is not the signed one before the body is sent', async () => {
    const url = await store.presignPut('a', { expiresIn: 60, size: 5 });
    const { hostname, port, pathname, search } = new URL(url);
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), hostname, () => {
        socket.write(`PUT ${pathname}${search} HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n`);
      });
      socket.once('data', (data) => {
        resolve(data.toString());
        socket.destroy();
      });
    });
    expect(answer).toMatch(/^HTTP\/1.1 422 /);
    expect(answer).toContain('SIZE_MISMATCH');
  });

  it('takes a body without a length if it has the signed one, and refuses it otherwise', async () => {
    const url = await store.presignPut('a', { expiresIn: 60, size: 5 });
    const headers = { 'Transfer-Encoding': 'chunked' };
    const long = await send(url, { method: 'PUT', headers }, ['hel', 'lo!', 'x'.repeat(300_000)]);
    expect([long.status, JSON.parse(long.body).code]).toEqual([422, 'SIZE_MISMATCH']);
    const short = await send(url, { method: 'PUT', headers }, ['hell']);
    expect([short.status, JSON.parse(short.body).code]).toEqual([422, 'SIZE_MISMATCH']);
    expect(await store.stat('a')).toBeUndefined();
    const right = await send(url, { method: 'PUT', headers }, ['hel', 'lo']);
    expect([right.status, right.headers.etag]).toEqual([200, `"${(await store.stat('a'))?.etag}"`]);
    expect(await unfinished()).toEqual([]);
  });

  it('asks a client that expects it to go on', async () => {
    const url = await store.presignPut('a', { expiresIn: 60, size: 5 });
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { Expect: '100-continue', 'Content-Length': 5 };
      const outgoing = request(url, { method: 'PUT', headers }, (answer) => resolve(answer.statusCode));
      outgoing.on('continue', () => outgoing.end('hello')).on('error', reject);
      outgoing.flushHeaders();
    });
    expect(status).toBe(200);
  });

  it.each(['whole', 'part'])(
    'a PUT (%s) that is given up leaves nothing, and the next one succeeds',
    async (what) => {
      const size = 2_000_000;
      const { uploadId } = await store.createMultipart('a', { size, partSize: size });
      const url =
        what === 'whole'
          ? await store.presignPut('a', { expiresIn: 60, size })
          : await store.presignPart('a', uploadId, { number: 1, size, expiresIn: 60 });
      const arrived = new Promise<void>((resolve) => {
        server.once('request', (incoming) => incoming.once('close', resolve));
      });
      const outgoing = request(url, { method: 'PUT', headers: { 'Content-Length': size } });
      outgoing.on('error', () => undefined);
      await new Promise((resolve) => outgoing.write(Buffer.alloc(1_500_000), resolve));
      outgoing.destroy();
      await arrived;
      await expect.poll(unfinished).toEqual([]);
      expect(await store.stat('a')).toBeUndefined();
      expect(await store.listParts('a', uploadId)).toEqual([]);
      expect((await fetch(url, { method: 'PUT', body: Buffer.alloc(size, 'x') })).status).toBe(200);
      expect(failures).toEqual([]);
    },
  );

  it('a part of unknown size has to say how long it is, and is at most as large as its URL is signed for', async () => {
    const { uploadId } = await store.createMultipart('a', { parts: 2 });
    const url = await store.presignPart('a', uploadId, { number: 1, expiresIn: 60 });
    const refused = (headers: Record<string, string | number>) =>
      new Promise<number | undefined>((resolve, reject) => {
        const outgoing = request(url, { method: 'PUT', headers }, (answer) => {
          resolve(answer.statusCode);
          outgoing.destroy();
        });
        outgoing.on('error', reject);
        outgoing.write('x');
      });
    expect(await refused({ 'Content-Length': 5 * 1024 ** 3 + 1 })).toBe(422);
    expect(await refused({ 'Transfer-Encoding': 'chunked' })).toBe(422);
    expect(await store.listParts('a', uploadId)).toEqual([]);
  });

  it('a part that told the size of the others and did not arrive told nothing', async () => {
    const { uploadId } = await store.createMultipart('a', { parts: 3 });
    const url = (number: number) => store.presignPart('a', uploadId, { number, expiresIn: 60 });
    const outgoing = request(await url(1), { method: 'PUT', headers: { 'Content-Length': 7 } });
    outgoing.on('error', () => undefined);
    const arrived = new Promise<void>((resolve) => {
      server.once('request', (incoming) => incoming.once('close', resolve));
    });
    await new Promise((resolve) => outgoing.write('abc', resolve));
    outgoing.destroy();
    await arrived;
    await expect
      .poll(async () => (await fetch(await url(1), { method: 'PUT', body: 'abcd' })).status)
      .toBe(200);
    expect((await fetch(await url(2), { method: 'PUT', body: 'other' })).status).toBe(422);
    await fetch(await url(2), { method: 'PUT', body: 'efgh' });
    await fetch(await url(3), { method: 'PUT', body: 'ij' });
    const { size } = await store.completeMultipart('a', uploadId, await store.listParts('a', uploadId));
    expect(size).toBe(10);
  });

  it('a GET that is given up ends quietly, and its file can go', async () => {
    await store.put('a', Buffer.alloc(20_000_000, 'x'));
    const url = await store.presignGet('a', { expiresIn: 60 });
    const ended = new Promise<void>((resolve) => {
      server.once('request', (_, response) => response.once('close', resolve));
    });
    request(url, (answer) => answer.destroy()).end();
    await ended;
    expect((await (await fetch(url)).arrayBuffer()).byteLength).toBe(20_000_000);
    expect(failures).toEqual([]);
  });

  it('sends many large objects at once, each its own bytes', async () => {
    const letters = ['a', 'b', 'c', 'd'];
    await Promise.all(letters.map((letter) => store.put(letter, Buffer.alloc(3_000_001, letter))));
    const bodies = await Promise.all(
      letters.map(async (letter) => (await fetch(await store.presignGet(letter, { expiresIn: 60 }))).text()),
    );
    expect(bodies.map((body, n) => body === (letters[n] ?? '').repeat(3_000_001))).toEqual([
      true,
      true,
      true,
      true,
    ]);
  });

  it('says that the disk is full, and hides other causes but hands them to the log', async () => {
    const url = await store.presignPut('a', { expiresIn: 60, size: 1 });
    const put = async (error: Error) => {
      const failing = storageDoor({ ...store, put: () => Promise.reject(error) });
      server.removeAllListeners('request');
      server.on('request', (req, res) => void failing(req, res).catch((cause) => failures.push(cause)));
      const answer = await fetch(url, { method: 'PUT', body: 'x' });
      return [answer.status, ((await answer.json()) as { code: string }).code];
    };
    expect(await put(new BlobError('NO_SPACE', 'a'))).toEqual([507, 'STORAGE_FULL']);
    expect(failures).toEqual([]);
    const cause = new Error('a secret path');
    expect(await put(cause)).toEqual([500, 'INTERNAL']);
    expect(failures).toEqual([cause]);
  });
});
