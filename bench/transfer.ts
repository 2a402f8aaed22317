import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, open, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { type Bench, command, startServer } from './context.ts';
import { type Measurement, medianOf, ratioOf, repeat, seconds } from './measurement.ts';
import { memory } from './memory.ts';
import { startNginx } from './nginx.ts';
import { type CutFile, upload } from './upload.ts';

const GIB = 1024 ** 3;
/** What the server cuts a file of this size into. */
const PART = 64 * 1024 * 1024;
const WHOLE = 'one-gib.bin';
const UPS = 4;
const DOWNS = 7;
/**
 * A virtual machine gives memory that was freed back to its host within seconds and is slow to get it again. Whoever
 * writes right after a large file was removed would be spared that: nobody is.
 */
const SETTLE_MS = 5000;

/** 1 GiB through signed URLs: up beside a hash and a durable copy, down beside nginx; and the server's memory. */
export async function transfer({ dir }: Bench): Promise<Measurement[]> {
  const dataDir = join(dir, 'data');
  const nginx = await startNginx(dir);
  const server = await startServer(dataDir);
  const idle = memory(server.process.pid).resident;
  const models = '/workspaces/default/models';
  let afterFirst = 0;
  try {
    const up = await repeat(UPS, async (round) => {
      const model = `big${round}`;
      await server.api('POST', models, { name: model });
      const file = await makeFile(dir);
      await pause(SETTLE_MS);
      const limit = await seconds(() => hashAndCopy(file.whole, join(dir, 'copy.bin')));
      await pause(SETTLE_MS);
      const ours = await seconds(() => upload(server, model, 'model.bin', file));
      afterFirst ||= memory(server.process.pid).peak;
      if (round < UPS - 1) {
        await server.api('DELETE', `${models}/${model}`);
        // Its bytes would go later; now they leave the machine as the copy left it.
        await rm(join(dataDir, 'blobs/objects/workspaces'), { recursive: true });
      }
      return { limit, ours };
    });
    const file = `${models}/big${UPS - 1}/versions/1/files/model.bin?redirect=false`;
    const { url } = await server.api<{ url: string }>('GET', file);
    const down = await repeat(DOWNS, async () => ({
      limit: await seconds(() => get(`${nginx.url}/${WHOLE}`)),
      ours: await seconds(() => get(url)),
    }));
    const { peak } = memory(server.process.pid);
    const upRatio = ratioOf(up, 'limit', 'ours');
    const downRatio = ratioOf(down, 'limit', 'ours');
    const speed = (time: number) => `${(GIB / 1e6 / time).toFixed(0)} MB/s`;
    const speeds = (rounds: typeof up) =>
      `${speed(medianOf(rounds, 'ours'))}, ${speed(medianOf(rounds, 'limit'))}`;
    return [
      {
        what: '1 GiB up in signed parts, verified',
        client: 'curl',
        value: upRatio,
        figure: `${upRatio.toFixed(2)} × SHA-256 and an fsynced copy (${speeds(up)})`,
        bar: '≥ 0.8 ×',
        reached: upRatio >= 0.8,
      },
      {
        what: '1 GiB down from a signed URL',
        client: 'curl',
        value: downRatio,
        figure: `${downRatio.toFixed(2)} × nginx (${speeds(down)})`,
        bar: '≥ 0.8 ×',
        reached: downRatio >= 0.8,
      },
      {
        what: `the server's peak memory after ${UPS} up and ${DOWNS} down`,
        client: '/proc',
        value: peak / afterFirst,
        figure: `${peak} MB; ${afterFirst} MB after the first up, ${idle} MB at start`,
        bar: '≤ 1.2 × first',
        reached: peak <= 1.2 * afterFirst,
      },
    ];
  } finally {
    await server.stop();
    await nginx.stop();
  }
}

/** Random bytes, repeated with a counter in them, on the disk and in its cache: whole, and in pieces of a part's size. */
async function makeFile(dir: string): Promise<CutFile & { readonly whole: string }> {
  const whole = join(dir, WHOLE);
  const chunk = randomFillSync(Buffer.alloc(PART));
  const hash = createHash('sha256');
  const pieces = Array.from({ length: GIB / PART }, (_, n) => join(dir, `piece-${n}`));
  const file = await open(whole, 'w');
  for (const [n, piece] of pieces.entries()) {
    chunk.writeUInt32LE(n);
    hash.update(chunk);
    await file.write(chunk);
    await writeFile(piece, chunk, { flush: true });
  }
  await file.sync();
  await file.close();
  return { whole, size: GIB, sha256: hash.digest('hex'), pieces };
}

/** The least that has to be done to take a file in: its digest, and a copy that survives a power cut. */
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

const get = (url: string) => command('curl', 'curl', ['-fsS', '-o', '/dev/null', url]);
