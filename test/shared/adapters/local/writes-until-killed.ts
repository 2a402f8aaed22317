import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { openFilesystemBlobStore } from '../../../../shared/adapters/local/filesystem-blob-store.ts';
import { openSqliteTable } from '../../../../shared/adapters/local/sqlite-table.ts';
import { systemClock } from '../../../../shared/adapters/local/system-clock.ts';

/** What killed-while-writing.ts runs: eight writers at once; a write's number is printed once it is acknowledged. */
const [what, dir = ''] = process.argv.slice(2);
let next = Date.now();
const acknowledge = (n: number) => writeSync(1, `${n}\n`);

async function tableWriter(): Promise<(n: number, writer: number) => Promise<unknown>> {
  const table = await openSqliteTable(join(dir, 'table.sqlite'));
  return (n, writer) =>
    table.transact(
      ['a', 'b', 'c'].map((part) => ({
        put: { pk: `writer/${writer}`, sk: `${n}#${part}`, body: { filler: 'x'.repeat(n % 3000) } },
        if: 'absent' as const,
      })),
    );
}

async function blobWriter(): Promise<(n: number, writer: number) => Promise<unknown>> {
  const store = await openFilesystemBlobStore({
    root: join(dir, 'blobs'),
    baseUrl: () => '',
    signingKey: new Uint8Array(32),
    clock: systemClock,
  });
  return async (n, writer) => {
    const bytes = Buffer.alloc(1 + (n % 7) * 100_000, String(n));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const key = `writer/${writer}/${n}/${sha256}`;
    await store.put(key, n % 2 === 0 ? bytes : inChunks(bytes), { sha256, ifAbsent: n % 3 === 0 });
  };
}

async function* inChunks(bytes: Buffer): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

const write = await (what === 'table' ? tableWriter() : blobWriter());
await Promise.all(
  Array.from({ length: 8 }, async (_, writer) => {
    for (;;) {
      const n = next++;
      await write(n, writer);
      acknowledge(n);
    }
  }),
);
