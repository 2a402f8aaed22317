import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import type { BlobStore } from '../../shared/ports/blob-store.ts';
import { planParts } from '../../shared/storage/part-plan.ts';
import { digest } from '../../shared/storage/verify.ts';
import { TEST_CREDENTIALS } from './aws-server.ts';
import { startVersitygw, type Versitygw } from './aws-versitygw.ts';
import { generated, generatedDigest } from './generated-bytes.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const RESUMED_BYTES = 5 * GIB;
/** The server makes the object beside its parts. */
const DISK_BYTES = 2 * RESUMED_BYTES + GIB;

let server: Versitygw;
let store: BlobStore;
beforeAll(async () => {
  const { bavail, bsize } = await statfs(tmpdir());
  const free = `${Math.floor((bavail * bsize) / GIB)} GiB free in ${tmpdir()}, ${DISK_BYTES / GIB} are needed`;
  expect(bavail * bsize, free).toBeGreaterThan(DISK_BYTES);
  server = await startVersitygw();
  store = openS3BlobStore(server);
});
afterAll(() => server.close());

test('a stream of 1 GiB goes up and comes down in flat memory', async () => {
  const before = process.memoryUsage.rss();
  let most = before;
  const watched = async function* (source: AsyncIterable<Uint8Array>) {
    for await (const chunk of source) {
      most = Math.max(most, process.memoryUsage.rss());
      yield chunk;
    }
  };
  const sha256 = generatedDigest(0, GIB);
  const stat = await store.put('gib', watched(generated(0, GIB)), { size: GIB, sha256 });
  expect(stat).toMatchObject({ size: GIB, sha256 });
  let size = 0;
  for await (const chunk of watched(await store.get('gib'))) size += chunk.length;
  expect(size).toBe(GIB);
  expect(await digest(store, 'gib')).toBe(sha256);
  expect((most - before) / MIB).toBeLessThan(300);
  await store.delete('gib');
});

test('an upload whose client is killed twice is resumed by listing its parts, and only what lacks is sent', {
  timeout: 1_200_000,
}, async () => {
  const { partSize, parts } = planParts(RESUMED_BYTES);
  const { uploadId } = await store.createMultipart('resumed', { size: RESUMED_BYTES, partSize });
  const client = (diesAfter?: number) =>
    spawn(process.execPath, [fileURLToPath(new URL('send-missing-parts.ts', import.meta.url))], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        ...{ AWS_ACCESS_KEY_ID: TEST_CREDENTIALS.accessKeyId },
        ...{ AWS_SECRET_ACCESS_KEY: TEST_CREDENTIALS.secretAccessKey },
        UPLOAD: JSON.stringify({
          endpoint: server.endpoint,
          bucket: server.bucket,
          key: 'resumed',
          uploadId,
          size: RESUMED_BYTES,
          diesAfter,
        }),
      },
    });

  const each = Math.floor(parts / 3);
  for (const _ of ['first', 'second']) {
    expect(await once(client(each), 'exit')).toEqual([null, 'SIGKILL']);
  }
  const before = await store.listParts('resumed', uploadId);
  expect(before.length).toBeGreaterThanOrEqual(2 * each);

  const last = client();
  const output: string[] = [];
  last.stdout.setEncoding('utf8').on('data', (chunk: string) => output.push(chunk));
  expect(await once(last, 'exit')).toEqual([0, null]);
  const { sent, mostMiB } = JSON.parse(output.join(''));
  const missing = Array.from({ length: parts }, (_, index) => index + 1).filter(
    (number) => !before.some((part) => part.number === number),
  );
  // The part that was on its way when the client died may have arrived since.
  expect(missing).toEqual(expect.arrayContaining(sent));
  expect(sent.length).toBeGreaterThanOrEqual(missing.length - 1);
  expect(mostMiB).toBeLessThan(400);

  const stat = await store.completeMultipart('resumed', uploadId, await store.listParts('resumed', uploadId));
  expect(stat.size).toBe(RESUMED_BYTES);
  expect(await digest(store, 'resumed')).toBe(generatedDigest(0, RESUMED_BYTES));
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  expect(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024).toBeLessThan(1024);
});
