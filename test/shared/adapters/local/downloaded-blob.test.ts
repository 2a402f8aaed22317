import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { downloadBlob } from '../../../../shared/adapters/local/downloaded-blob.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-download-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const bytes = Buffer.from('the model');
const file = { key: 'a', sha256: createHash('sha256').update(bytes).digest('hex') };
const giving = (...chunks: (Uint8Array | Error)[]) => ({
  get: async () =>
    (async function* () {
      for (const chunk of chunks) {
        if (chunk instanceof Error) throw chunk;
        yield chunk;
      }
    })(),
});

test('a file is there whole, read-only and with the bytes that were asked for', async () => {
  const path = join(dir, 'model');
  await downloadBlob(giving(bytes.subarray(0, 3), bytes.subarray(3)), file, path);
  expect(await readFile(path)).toEqual(bytes);
  expect((await stat(path)).mode & 0o777).toBe(0o444);
});

test.each([
  ['other bytes', [Buffer.from('another model')], { code: 'DIGEST_MISMATCH' }],
  ['a connection that breaks', [bytes.subarray(0, 3), new Error('broken')], { message: 'broken' }],
])('%s leave no file', async (_, chunks, error) => {
  await expect(downloadBlob(giving(...chunks), file, join(dir, 'model'))).rejects.toMatchObject(error);
  expect(await readdir(dir)).toEqual([]);
});
