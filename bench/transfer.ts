import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, mkdir, open, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { type Bench, type BenchServer, command, residentMb, startServer } from './context.ts';
import { type Measurement, median, repeat } from './measurement.ts';

const GIB = 1024 ** 3;

/** 1 GiB through signed URLs, beside a hash and a durable copy, and beside nginx. */
export async function transfer({ dir }: Bench): Promise<Measurement[]> {
  const file = join(dir, 'one-gib.bin');
  const server = await startServer(join(dir, 'data'));
  try {
    await server.api('POST', '/workspaces/default/models', { name: 'big' });
    let resident = 0;
    const up = await repeat(3, async () => {
      const sha256 = await makeFile(file);
      const limit = await seconds(() => hashAndCopy(file, join(dir, 'copy.bin')));
      const ours = await seconds(() => upload(server, file, sha256));
      resident = Math.max(resident, residentMb(server.process.pid));
      return limit / ours;
    });
    const url = await downloadUrl(server);
    const nginx = await startNginx(dir);
    const down = await repeat(5, async () => {
      const theirs = await seconds(async () => get(`http://127.0.0.1:${nginx.port}/one-gib.bin`));
      const ours = await seconds(async () => get(url));
      resident = Math.max(resident, residentMb(server.process.pid));
      return theirs / ours;
    });
    nginx.stop();
    return [
      {
        what: '1 GiB up, parts of 64 MiB through the API, verified',
        figure: `${median(up).toFixed(2)} × SHA-256 and an fsynced copy`,
        bar: '≥ 0.8 ×',
        reached: median(up) >= 0.8,
      },
      {
        what: '1 GiB down, curl',
        figure: `${median(down).toFixed(2)} × nginx`,
        bar: '≥ 0.8 ×',
        reached: median(down) >= 0.8,
      },
      {
        what: 'resident memory meanwhile',
        figure: `${resident} MB`,
        bar: 'flat: < 300 MB',
        reached: resident < 300,
      },
    ];
  } finally {
    await server.stop();
  }
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** Random bytes, the same 16 MiB with a counter, so that every run has another digest. @returns the SHA-256 */
async function makeFile(path: string): Promise<string> {
  const chunk = randomFillSync(Buffer.alloc(16 * 1024 * 1024));
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  for (let n = 0; n < GIB / chunk.length; n++) {
    chunk.writeUInt32LE(n);
    hash.update(chunk);
    await file.write(chunk);
  }
  await file.sync();
  await file.close();
  return hash.digest('hex');
}

async function hashAndCopy(from: string, to: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(from, { highWaterMark: 1024 * 1024 })) hash.update(chunk);
  hash.digest();
  await copyFile(from, to);
  const file = await open(to, 'r+');
  await file.sync();
  await file.close();
  await rm(to);
}

async function upload(server: BenchServer, file: string, sha256: string): Promise<void> {
  const uploads = '/workspaces/default/models/big/uploads';
  const path = 'model.bin';
  const made = await server.api<{ id: string }>('POST', uploads, { files: [{ path, size: GIB, sha256 }] });
  const parts = await server.api<{ items: { number: number; size: number; url: string }[] }>(
    'POST',
    `${uploads}/${made.id}/parts`,
    { path },
  );
  let start = 0;
  for (const { size, url } of parts.items) {
    await put(url, file, start, size);
    start += size;
  }
  await server.api('POST', `${uploads}/${made.id}/complete`);
}

function put(url: string, file: string, start: number, size: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: 'PUT', headers: { 'content-length': size } }, (answer) => {
      answer.resume();
      answer.once('end', () =>
        answer.statusCode === 200 ? resolve() : reject(new Error(`PUT: ${answer.statusCode}`)),
      );
    });
    outgoing.once('error', reject);
    createReadStream(file, { start, end: start + size - 1, highWaterMark: 1024 * 1024 }).pipe(outgoing);
  });
}

async function downloadUrl(server: BenchServer): Promise<string> {
  const path = '/workspaces/default/models/big/versions/3/files/model.bin?redirect=false';
  return (await server.api<{ url: string }>('GET', path)).url;
}

const get = (url: string) => command('curl', 'curl', ['-fsS', '-o', '/dev/null', url]);

/** nginx with the settings it is known to be quick with, for the one folder. */
async function startNginx(dir: string): Promise<{ port: number; stop(): void }> {
  const port = 17_000 + Math.floor(Math.random() * 10_000);
  await mkdir(join(dir, 'nginx'));
  const config = join(dir, 'nginx', 'nginx.conf');
  await writeFile(
    config,
    `daemon off; pid ${dir}/nginx/pid; error_log ${dir}/nginx/error.log; user root;
     events {} http { access_log off; sendfile on; tcp_nopush on; client_body_temp_path ${dir}/nginx/body;
     server { listen 127.0.0.1:${port}; root ${dir}; } }`,
  );
  command('nginx', 'nginx-light', ['-t', '-c', config]);
  const child = spawn('nginx', ['-c', config], { stdio: 'ignore' });
  const answers = () => spawnSync('curl', ['-fsSI', `http://127.0.0.1:${port}/one-gib.bin`]).status === 0;
  while (!answers()) if (child.exitCode !== null) throw new Error('nginx did not start');
  return { port, stop: () => void child.kill() };
}
