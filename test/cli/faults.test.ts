import { mkdir, mkdtemp, open, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { ADMIN_TOKEN, type InstalledCli, installCli, startServer, type TestServer } from './harness.ts';

let server: TestServer;
let cli: InstalledCli;

beforeAll(async () => {
  server = await startServer();
  cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: ADMIN_TOKEN }));
});

afterEach(() => {
  server.fault = {};
});

afterAll(async () => {
  await cli.remove();
  await server.close();
});

async function folderWith(count: number, size: number): Promise<string> {
  const folder = await mkdtemp(join(cli.home, 'folder-'));
  for (let at = 0; at < count; at++) await writeFile(join(folder, `${at}.bin`), Buffer.alloc(size, at + 1));
  return folder;
}

const isPut = ({ line }: { line: string }) => line.startsWith('PUT /storage/');

/** Lets two parts through and holds all others. */
function holdPuts(): { held: () => number } {
  let seen = 0;
  server.fault = { request: (req) => isPut({ line: `${req.method} ${req.url}` }) && ++seen > 2 };
  return { held: () => seen - 2 };
}

test('doctor says what to do about a full disk, and about an issuer that is away', async () => {
  const answers: Record<string, object> = {
    '/readyz': { status: 'unavailable', code: 'STORAGE_FULL', detail: 'Only 7 MiB are free.' },
    '/api/v1/whoami': {
      code: 'ISSUER_UNAVAILABLE',
      detail: 'Its keys cannot be had.',
      fix: 'Try again shortly.',
    },
  };
  server.fault = {
    request(req, res) {
      const answer = answers[req.url ?? ''];
      if (answer) res.writeHead(503, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
      return answer !== undefined;
    },
  };
  const { status, stdout } = await cli.run(['doctor']);
  expect(status).toBe(1);
  expect(stdout).toContain('Only 7 MiB are free.\n  → Free some space on its disk.');
  expect(stdout).toContain('Its keys cannot be had.\n  → Try again shortly.');
});

test('an upload that was killed goes on where it stopped, with the same command', async () => {
  const folder = await folderWith(8, 400_000);
  const { held } = holdPuts();
  const child = cli.start(['push', folder, 'killed']);
  await vi.waitFor(() => expect(held()).toBeGreaterThanOrEqual(4), { timeout: 30_000 });
  child.kill('SIGKILL');
  await new Promise((done) => child.on('close', done));
  server.fault = {};
  const before = server.requests.filter(isPut).length;

  const { status, stdout, stderr } = await cli.run(['push', folder, 'killed']);
  expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('version 1') });
  expect(stderr).toContain('Going on with the upload');
  expect(server.requests.filter(isPut).length - before).toBe(6);
  expect(await readdir(join(cli.home, 'state', 'cairn', 'uploads'))).toEqual([]);
});

test('Ctrl-C leaves an upload that can be resumed, and says so', async () => {
  const folder = await folderWith(8, 400_001);
  const { held } = holdPuts();
  const child = cli.start(['push', folder, 'interrupted']);
  let stderr = '';
  child.stderr?.on('data', (text) => (stderr += text));
  await vi.waitFor(() => expect(held()).toBeGreaterThanOrEqual(4), { timeout: 30_000 });
  child.kill('SIGINT');
  expect(await new Promise((done) => child.on('close', done))).toBe(130);
  expect(stderr).toContain('Run the same command again');
  server.fault = {};
  expect(await cli.json(['push', folder, 'interrupted'])).toMatchObject({ version: 1, status: 'READY' });
});

test('a server that goes away in the middle is told of with how to go on, and the same command goes on', async () => {
  const folder = await folderWith(8, 400_003);
  let seen = 0;
  server.fault = {
    request(req) {
      const isGone = seen > 2;
      if (isPut({ line: `${req.method} ${req.url}` })) seen++;
      if (isGone) req.socket.destroy();
      return isGone;
    },
  };
  const { status, stderr } = await cli.run(['push', folder, 'deserted']);
  expect(status).toBe(6);
  expect(stderr).toContain('Cannot reach');
  expect(stderr).toContain('Run the same command again to go on where it stopped.');
  server.fault = {};
  const again = await cli.run(['push', folder, 'deserted']);
  expect(again).toMatchObject({ status: 0, stderr: expect.stringContaining('Going on with the upload') });
}, 60_000);

test('a file that changes while it is sent makes no version', async () => {
  const folder = await folderWith(8, 400_002);
  const { held } = holdPuts();
  const child = cli.start(['push', folder, 'changing', '--json']);
  let stderr = '';
  child.stderr?.on('data', (text) => (stderr += text));
  const closed = new Promise((done) => child.on('close', done));
  await vi.waitFor(() => expect(held()).toBeGreaterThanOrEqual(4), { timeout: 30_000 });
  await writeFile(join(folder, '7.bin'), Buffer.alloc(400_002, 99));
  server.fault = {};
  server.dropConnections();
  expect(await closed).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({
    code: 'FILE_CHANGED',
    detail: expect.stringContaining('7.bin'),
  });
  expect(await cli.json(['versions', 'changing'])).toMatchObject({ items: [{ status: 'FAILED' }] });
});

test('bytes damaged on the way up make no version', async () => {
  const folder = await folderWith(3, 500_000);
  let damaged = false;
  server.fault = {
    damage: (req, chunk) => {
      if (damaged || req.method !== 'PUT' || !req.url?.startsWith('/storage/')) return chunk;
      damaged = true;
      return Buffer.from(chunk).fill(0, 0, 1);
    },
  };
  const { status, stderr } = await cli.run(['push', folder, 'damaged', '--json']);
  expect(status).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({
    code: 'DIGEST_MISMATCH',
    fix: expect.stringContaining('push again'),
  });
  server.fault = {};
  expect(await cli.json(['push', folder, 'damaged'])).toMatchObject({ version: 2, status: 'READY' });
});

test('broken connections and busy answers are tried again, and a write happens once', async () => {
  let failures = 0;
  server.fault = {
    request: (req, res) => {
      if (!req.url?.startsWith('/api/') || failures >= 2) return false;
      failures++;
      if (failures === 1) res.writeHead(503, { 'retry-after': '0' }).end();
      else req.destroy();
      return true;
    },
  };
  expect((await cli.run(['models'])).status).toBe(0);
  expect(failures).toBe(2);

  // The server makes the version, but its answer is lost.
  let lost = false;
  server.fault = {
    body: (req, body, res) => {
      if (lost || req.method !== 'POST' || !req.url?.endsWith('/versions')) return body;
      lost = true;
      res.destroy();
      return undefined;
    },
  };
  const folder = await folderWith(1, 10);
  expect(await cli.json(['push', folder, 'once'])).toMatchObject({ version: 1 });
  expect(lost).toBe(true);
  server.fault = {};
  expect((await cli.json(['versions', 'once'])).items).toHaveLength(1);
});

test('parts whose URL is refused or whose connection breaks are sent again', async () => {
  const folder = await folderWith(4, 400_003);
  let failures = 0;
  server.fault = {
    request: (req, res) => {
      if (req.method !== 'PUT' || !req.url?.startsWith('/storage/') || failures >= 2) return false;
      failures++;
      if (failures === 1) res.writeHead(403).end();
      else req.destroy();
      return true;
    },
  };
  expect(await cli.json(['push', folder, 'flaky'])).toMatchObject({ version: 1, status: 'READY' });
  expect(failures).toBe(2);
});

test('signed URLs get no token', async () => {
  const folder = await folderWith(3, 400_004);
  await cli.json(['push', folder, 'no-token']);
  await cli.json(['pull', 'no-token@1']);
  const storage = server.requests.filter(({ line }) => line.includes(' /storage/'));
  expect(storage.length).toBeGreaterThan(5);
  expect(storage.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
});

test('a download that breaks goes on with a range', async () => {
  const folder = await folderWith(1, 2_000_000);
  await cli.json(['push', folder, 'ranged']);
  let broken = false;
  server.fault = {
    body: (req, body, res) => {
      if (broken || !req.url?.startsWith('/storage/')) return body;
      broken = true;
      res.writeHead(200, { 'content-length': body.length });
      res.write(body.subarray(0, 1_000_000), () => res.destroy());
      return undefined;
    },
  };
  const target = join(cli.home, 'ranged');
  await cli.json(['pull', 'ranged@1', target]);
  expect(await readFile(join(target, '0.bin'))).toEqual(Buffer.alloc(2_000_000, 1));
  const ranges = server.requests.flatMap(
    ({ line, headers }) => (line.startsWith('GET /storage/') && headers.range) || [],
  );
  expect(ranges.at(-1)).toMatch(/^bytes=\d+-$/);
  expect(await readdir(target)).toEqual(['0.bin']);
});

test('damaged bytes never appear under a file’s name', async () => {
  const folder = await folderWith(1, 50_000);
  await cli.json(['push', folder, 'rotten']);
  const damage = (times: number) => {
    let left = times;
    server.fault = {
      body: (req, body) => {
        if (left === 0 || !req.url?.startsWith('/storage/')) return body;
        left--;
        return Buffer.from(body).fill(0, 0, 1);
      },
    };
  };
  damage(2);
  const target = join(cli.home, 'rotten');
  const { status, stderr } = await cli.run(['pull', 'rotten@1', target, '--json']);
  expect(status).toBe(1);
  expect(JSON.parse(stderr).code).toBe('DIGEST_MISMATCH');
  await expect(readFile(join(target, '0.bin'))).rejects.toThrow();

  damage(1);
  await cli.json(['pull', 'rotten@1', target]);
  expect(await readFile(join(target, '0.bin'))).toEqual(Buffer.alloc(50_000, 1));
});

test.each([
  '../evil.txt',
  '/tmp/evil.txt',
  'a/../../evil.txt',
  'a\\..\\evil.txt',
  'C:/evil.txt',
  'a\0b',
  '.git/hooks/post-checkout',
])('a server that lists %j gets nothing written', async (path) => {
  const folder = await folderWith(1, 10);
  await cli.json(['push', folder, 'hostile']);
  server.fault = {
    body: (req, body) => {
      if (!req.url?.includes('/files?')) return body;
      const list = JSON.parse(body.toString());
      return Buffer.from(
        JSON.stringify({
          items: [
            { ...list.items[0], path: 'good.txt' },
            { ...list.items[0], path },
          ],
        }),
      );
    },
  };
  const parent = await mkdtemp(join(cli.home, 'parent-'));
  const target = join(parent, 'target');
  await mkdir(target);
  const { status, stderr } = await cli.run(['pull', 'hostile@1', target, '--json']);
  expect(status).toBe(1);
  expect(JSON.parse(stderr).code).toBe('PATH_REFUSED');
  expect(await readdir(parent)).toEqual(['target']);
  expect(await readdir(target)).toEqual([]);
});

test('a digest that is a path names no file', async () => {
  await cli.json(['push', await folderWith(1, 10), 'odd-digest']);
  server.fault = {
    body: (req, body) =>
      req.url?.includes('/files?')
        ? Buffer.from(body.toString().replace(/[0-9a-f]{64}/, '../../evil'))
        : body,
  };
  const target = await mkdtemp(join(cli.home, 'target-'));
  const { stderr } = await cli.run(['pull', 'odd-digest@1', target, '--json']);
  expect(JSON.parse(stderr).code).toBe('PATH_REFUSED');
  expect(await readdir(target)).toEqual([]);
});

test('a changed audit trail fails the command and names the first record', async () => {
  const problems = [{ chain: 'model/1', seq: 7, problem: 'its hash is another' }];
  server.fault = {
    body: (req, body) =>
      req.url?.endsWith('/verification')
        ? Buffer.from(JSON.stringify({ ok: false, chains: 1, events: 9, problems }))
        : body,
  };
  const { status, stderr } = await cli.run(['audit', 'verify']);
  expect(status).toBe(1);
  expect(stderr).toContain('record 7 of model/1: its hash is another');
  expect(await cli.run(['audit', 'verify', '--json'])).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('"seq": 7'),
  });
});

test('a reader that has seen enough is no error', async () => {
  await cli.json(['push', await folderWith(1, 10), 'piped']);
  const child = cli.start(['models']);
  child.stdout?.destroy();
  let stderr = '';
  child.stderr?.on('data', (text) => (stderr += text));
  expect(await new Promise((done) => child.on('close', done))).toBe(0);
  expect(stderr).toBe('');
});

test('output that cannot be written is said in a sentence', async () => {
  const full = await open('/dev/full', 'w');
  const { status, stderr } = await cli.run(['models'], { stdout: full.fd });
  await full.close();
  expect([status, stderr]).toEqual([1, expect.stringMatching(/^cairn: The output cannot be written: .*\n$/)]);
});

test('something that is no Cairn server is named as such', async () => {
  server.fault = {
    request: (_, res) => {
      res.writeHead(200, { 'content-type': 'text/html' }).end('<html>Welcome</html>');
      return true;
    },
  };
  const { status, stderr } = await cli.run(['models']);
  expect(status).toBe(1);
  expect(stderr).toContain('not JSON');
});
