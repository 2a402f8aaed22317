import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import { filesDigest } from '../../../shared/serving/files-digest.ts';
import { asksFor, digitsModel, testSet } from './digits-data.ts';
import { startModelServer, startReady } from './start.ts';

const model = digitsModel('digits-v2');
const TOKEN = 'cairn-revision.a.b';
/** Larger than what the kernel buffers of a connection, so that one that breaks has lost something. */
const WEIGHTS = Buffer.alloc(8 * 1024 * 1024, 'weights ');

type Door = (request: IncomingMessage, response: ServerResponse, count: number) => boolean;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** functions/revision-files and a blob store, which `disturb` may answer for: it says whether it did. */
async function openDoor(disturb: Door = () => false) {
  const stored = new Map([
    ['model.onnx', model],
    ['data/weights.bin', WEIGHTS],
    ['data/empty', Buffer.alloc(0)],
  ]);
  const files = [...stored].map(([path, bytes]) => ({
    path,
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }));
  const asked: string[] = [];
  const counts = new Map<string, number>();
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://door');
    const count = (counts.get(pathname) ?? 0) + 1;
    counts.set(pathname, count);
    asked.push(`${pathname}${request.headers.range ? ` ${request.headers.range}` : ''}`);
    if (disturb(request, response, count)) return;
    if (pathname === '/files') {
      if (request.headers.authorization !== `Bearer ${TOKEN}`) {
        response.writeHead(401).end(JSON.stringify({ code: 'UNAUTHENTICATED', error: 'not this token' }));
        return;
      }
      const after = Number(searchParams.get('after'));
      const page = files
        .slice(after, after + 2)
        .map((file) => ({ ...file, url: `${address}/bytes/${file.path}?signed=${count}` }));
      const next = after + 2 < files.length ? { next: after + 2 } : {};
      response.end(JSON.stringify({ files: page, ...next }));
      return;
    }
    const bytes = stored.get(pathname.slice('/bytes/'.length)) ?? Buffer.alloc(0);
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': bytes.length - from });
    response.end(bytes.subarray(from));
  }).listen(0, '127.0.0.1');
  await vi.waitFor(() => expect(server.address()).not.toBeNull());
  closing.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const environment = {
    CAIRN_FILES_URL: `${address}/files`,
    CAIRN_FILES_TOKEN: TOKEN,
    CAIRN_FILES_DIGEST: filesDigest(files),
  };
  return { environment, asked, files };
}

/** What an earlier start left there. */
const LEFT = Buffer.alloc(10_000, 'left');
const start = (environment: Record<string, string>) => startReady(LEFT, { environment });
const fail = (environment: Record<string, string>) => startModelServer(LEFT, { environment });

test('a replica fetches the files of its version and serves them', async () => {
  const { environment, asked } = await openDoor();
  await using server = await start(environment);
  const answer = await server.post('/v2/models/digits/infer', asksFor(testSet.images.slice(0, 1)));
  expect(answer.status).toBe(200);
  expect(asked.sort()).toEqual(['/bytes/data/weights.bin', '/bytes/model.onnx', '/files', '/files']);
});

test('a download that breaks off goes on where it broke', async () => {
  const { environment, asked } = await openDoor((request, response, count) => {
    if (!request.url?.includes('weights') || count > 2) return false;
    const from = Number(/\d+/.exec(request.headers.range ?? '0')?.[0]);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': WEIGHTS.length - from });
    response.write(WEIGHTS.subarray(from, from + 1024 * 1024), () => response.destroy());
    return true;
  });
  await using server = await start(environment);
  expect((await server.send('GET', '/ping')).status).toBe(200);
  const ranges = asked.filter((one) => one.includes('weights') && one.includes('bytes='));
  expect(ranges.length).toBeGreaterThan(0);
});

test('a server that knows no ranges is asked for the whole again', async () => {
  const { environment } = await openDoor((request, response, count) => {
    if (!request.url?.includes('weights')) return false;
    if (count > 1) delete request.headers.range;
    else {
      response.writeHead(200, { 'content-length': WEIGHTS.length });
      response.write(WEIGHTS.subarray(0, 100_000), () => response.destroy());
      return true;
    }
    return false;
  });
  await using server = await start(environment);
  expect((await server.send('GET', '/ping')).status).toBe(200);
});

test('URLs that have expired are asked for again', async () => {
  const { environment, asked } = await openDoor((request, response) => {
    if (!request.url?.endsWith('signed=1') || !request.url.includes('/bytes/')) return false;
    response
      .writeHead(403)
      .end('<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>');
    return true;
  });
  await using server = await start(environment);
  expect((await server.send('GET', '/ping')).status).toBe(200);
  expect(asked.filter((one) => one === '/files').length).toBeGreaterThan(2);
});

test('a list that is not to be had for a while is asked for again', async () => {
  const { environment } = await openDoor((request, response, count) => {
    if (!request.url?.startsWith('/files') || count > 2) return false;
    if (count === 1) response.destroy();
    else response.writeHead(502).end('bad gateway');
    return true;
  });
  await using server = await start(environment);
  expect((await server.send('GET', '/ping')).status).toBe(200);
});

const answering =
  (of: string, body: Buffer | string): Door =>
  (request, response) => {
    if (!request.url?.includes(of)) return false;
    response.end(body);
    return true;
  };

test.each<[string, Door, string, RegExp]>([
  [
    'bytes that are not those deployed',
    answering('onnx', Buffer.from(model).fill(1, 0, 9)),
    'DIGEST_MISMATCH',
    /model\.onnx/,
  ],
  ['more bytes', answering('onnx', Buffer.concat([model, model])), 'SIZE_MISMATCH', /more bytes/],
  ['another list of files', answering('/files', JSON.stringify({ files: [] })), 'DIGEST_MISMATCH', /digest/],
])('%s are refused, whoever offers them', async (_, disturb, code, sentence) => {
  const { environment } = await openDoor(disturb);
  const ended = await fail(environment);
  expect(ended).toMatchObject({ exitCode: 3 });
  expect(ended.lines.at(-1)).toMatchObject({ level: 'error', code, msg: expect.stringMatching(sentence) });
});

test('a token that does not hold ends the start with a clear line', async () => {
  const { environment } = await openDoor();
  const ended = await fail({ ...environment, CAIRN_FILES_TOKEN: 'other' });
  expect(ended).toMatchObject({ exitCode: 3 });
  expect(ended.lines.at(-1)).toMatchObject({
    code: 'UNAUTHENTICATED',
    msg: expect.stringContaining('refused (401): not this token'),
  });
});

test('settings that belong together are named', async () => {
  const ended = await fail({ CAIRN_FILES_URL: 'http://127.0.0.1:1/files', CAIRN_METRICS: 'emf' });
  expect(ended).toMatchObject({ exitCode: 2 });
  for (const name of ['CAIRN_FILES_TOKEN', 'CAIRN_FILES_DIGEST', 'CAIRN_REVISION']) {
    expect(ended.lines.at(-1)?.msg).toContain(`${name}: is missing`);
  }
});

test('SIGTERM ends it while it fetches', async () => {
  const waiting: ServerResponse[] = [];
  const { environment } = await openDoor((request, response) => {
    if (!request.url?.includes('weights')) return false;
    waiting.push(response);
    return true;
  });
  let child: ChildProcess | undefined;
  const ended = startModelServer(LEFT, {
    environment,
    onSpawn: (one) => {
      child = one;
    },
  });
  await vi.waitFor(() => expect(waiting).toHaveLength(1), { timeout: 20_000 });
  child?.kill('SIGTERM');
  expect(await ended).toMatchObject({ exitCode: 0 });
});
