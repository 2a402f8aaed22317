import { createHash, randomFillSync } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Bench, command, startServer } from './context.ts';
import { type Measurement, repeat, seconds, shortest } from './measurement.ts';
import { memory } from './memory.ts';
import { startNginx } from './nginx.ts';
import { upload } from './upload.ts';

const GIB = 1024 ** 3;
const CHUNK = 16 * 1024 * 1024;
const UPS = 5;
const DOWNS = 7;

/** 1 GiB through signed URLs: up beside a hash and a durable copy, down beside nginx; and the server's memory. */
export async function transfer({ dir }: Bench): Promise<Measurement[]> {
  const local = join(dir, 'one-gib.bin');
  const nginx = await startNginx(dir);
  const server = await startServer(join(dir, 'data'));
  const idle = memory(server.process.pid).resident;
  const models = '/workspaces/default/models';
  let afterFirst = 0;
  try {
    const up = await repeat(UPS, async (round) => {
      const model = `big${round}`;
      await server.api('POST', models, { name: model });
      const sha256 = await makeFile(local);
      const limit = await seconds(() => hashAndCopy(local, join(dir, 'copy.bin')));
      const ours = await seconds(() => upload(server, model, { local, path: 'model.bin', sha256 }));
      afterFirst ||= memory(server.process.pid).peak;
      if (round < UPS - 1) await server.api('DELETE', `${models}/${model}`);
      return { limit, ours };
    });
    const file = `${models}/big${UPS - 1}/versions/1/files/model.bin?redirect=false`;
    const { url } = await server.api<{ url: string }>('GET', file);
    const down = await repeat(DOWNS, async () => ({
      theirs: await seconds(() => get(`${nginx.url}/one-gib.bin`)),
      ours: await seconds(() => get(url)),
    }));
    const { peak } = memory(server.process.pid);
    const copied = shortest(up.map(({ limit }) => limit));
    const sent = shortest(up.map(({ ours }) => ours));
    const fromNginx = shortest(down.map(({ theirs }) => theirs));
    const received = shortest(down.map(({ ours }) => ours));
    const upRatio = copied / sent;
    const downRatio = fromNginx / received;
    const speed = (time: number) => `${(GIB / 1e6 / time).toFixed(0)} MB/s`;
    return [
      {
        what: '1 GiB up in signed parts, verified',
        client: 'node',
        value: upRatio,
        figure: `${upRatio.toFixed(2)} × SHA-256 and an fsynced copy (${speed(sent)}, ${speed(copied)})`,
        bar: '≥ 0.8 ×',
        reached: upRatio >= 0.8,
      },
      {
        what: '1 GiB down from a signed URL',
        client: 'curl',
        value: downRatio,
        figure: `${downRatio.toFixed(2)} × nginx (${speed(received)}, ${speed(fromNginx)})`,
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

/** Random bytes, repeated with a counter in them, on the disk and in its cache. @returns the SHA-256 */
async function makeFile(path: string): Promise<string> {
  const chunk = randomFillSync(Buffer.alloc(CHUNK));
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  for (let n = 0; n < GIB / CHUNK; n++) {
    chunk.writeUInt32LE(n);
    hash.update(chunk);
    await file.write(chunk);
  }
  await file.sync();
  await file.close();
  return hash.digest('hex');
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
