import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openSqliteTable, type SqliteTable } from '../../../../shared/adapters/local/sqlite-table.ts';
import { tableMemory } from '../../../../shared/adapters/local/table-memory.ts';
import type { Op, Query } from '../../../../shared/ports/table.ts';

let dir: string;
let table: SqliteTable;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-memory-'));
  table = await openSqliteTable(join(dir, 'table.sqlite'));
});
afterEach(async () => {
  await table.close();
  await rm(dir, { recursive: true });
});

const put = (sk: string, body: unknown, rev?: number): Op => ({
  put: { pk: 'p', sk, body },
  if: rev === undefined ? 'absent' : { rev },
});

it('whatever is written, a read answers what was written last, for one item and for each of many pages', async () => {
  const pks = ['p', 'q'];
  const sks = ['a', 'ab', 'b', 'ba'];
  const writes = fc.array(
    fc.record({ pk: fc.constantFrom(...pks), sk: fc.constantFrom(...sks), gone: fc.boolean() }),
    { maxLength: 30 },
  );
  let round = 0;
  await fc.assert(
    fc.asyncProperty(writes, async (steps) => {
      const run = `${++round}/`;
      const model = new Map<string, { rev: number; n: number }>();
      for (const [n, { pk, sk, gone }] of steps.entries()) {
        const known = model.get(`${pk} ${sk}`);
        const key = { pk: run + pk, sk };
        if (gone) {
          await table.transact([{ delete: key, if: 'any' }]);
          model.delete(`${pk} ${sk}`);
        } else {
          await table.transact([{ put: { ...key, body: { n } }, if: known ? { rev: known.rev } : 'absent' }]);
          model.set(`${pk} ${sk}`, { rev: (known?.rev ?? 0) + 1, n });
        }
        for (const asked of pks) {
          const there = sks
            .map((each) => ({ sk: each, ...model.get(`${asked} ${each}`) }))
            .filter(({ rev }) => rev !== undefined);
          for (const each of sks) {
            const item = await table.get({ pk: run + asked, sk: each });
            expect((item?.body as { n: number } | undefined)?.n).toBe(model.get(`${asked} ${each}`)?.n);
          }
          const queries: [Omit<Query, 'pk'>, (sk: string) => boolean][] = [
            [{ limit: 10 }, () => true],
            [{ limit: 10, prefix: 'a' }, (each) => each.startsWith('a')],
            [{ limit: 10, after: 'ab' }, (each) => each > 'ab'],
            [{ limit: 10, after: 'ab', reverse: true }, (each) => each < 'ab'],
          ];
          for (const [query, wanted] of queries) {
            const { items } = await table.query({ pk: run + asked, ...query });
            const expected = there.filter((each) => wanted(each.sk)).map((each) => `${each.sk}${each.n}`);
            if (query.reverse) expected.reverse();
            expect(items.map((item) => `${item.sk}${(item.body as { n: number }).n}`)).toEqual(expected);
          }
        }
      }
    }),
    { numRuns: 10 },
  );
});

it('reads an item from the store once, and again when it was written', async () => {
  await table.transact([put('a', 1)]);
  const first = await table.get({ pk: 'p', sk: 'a' });
  expect(await table.get({ pk: 'p', sk: 'a' })).toBe(first);
  await table.transact([put('b', 1)]);
  expect(await table.get({ pk: 'p', sk: 'a' })).toBe(first);
  await table.transact([put('a', 2, 1)]);
  expect(await table.get({ pk: 'p', sk: 'a' })).toEqual({ pk: 'p', sk: 'a', rev: 2, body: 2 });
});

it('keeps nothing of a partition while it is being written', () => {
  const memory = tableMemory();
  const item = { pk: 'p', sk: 'a', rev: 1, body: 1 };
  const query = { pk: 'p', limit: 10 };
  memory.keepItem(item, 1);
  const end = memory.begin([{ kind: 'put', pk: 'p', sk: 'a' }]);
  memory.keepItem(item, 1);
  memory.keepPage(query, { items: [item], more: false }, 1);
  expect(memory.item(item)).toBeUndefined();
  expect(memory.page(query)).toBeUndefined();
  end();
  expect(memory.item(item)).toBeUndefined();
  memory.keepItem(item, 1);
  expect(memory.item(item)).toBe(item);
});

it('what somebody else writes is read, before and after own writes', async () => {
  await table.transact([put('a', 1), put('b', 1)]);
  const first = await table.get({ pk: 'p', sk: 'a' });
  const other = await openSqliteTable(join(dir, 'table.sqlite'));
  await other.transact([put('a', 2, 1)]);
  await new Promise((resolve) => setImmediate(resolve));
  expect((await table.get({ pk: 'p', sk: 'a' }))?.body).toBe(2);
  for (let rev = 2; rev < 50; rev++) {
    await Promise.all([other.transact([put('a', rev + 1, rev)]), table.transact([put(`own ${rev}`, rev)])]);
    await new Promise((resolve) => setImmediate(resolve));
    expect((await table.get({ pk: 'p', sk: 'a' }))?.body).toBe(rev + 1);
  }
  await other.close();
  expect(first?.body).toBe(1);
});

it('keeps nothing that the store deletes by itself', async () => {
  const expiring = { pk: 'p', sk: 'a', body: 1, expiresAt: 4_000_000_000 };
  await table.transact([{ put: expiring, if: 'absent' }]);
  const first = await table.get({ pk: 'p', sk: 'a' });
  expect(await table.get({ pk: 'p', sk: 'a' })).not.toBe(first);
  const page = await table.query({ pk: 'p', limit: 10 });
  expect(await table.query({ pk: 'p', limit: 10 })).not.toBe(page);
});

it('forgets what was not asked for lately when it has much', () => {
  const memory = tableMemory();
  const text = 1_000_000;
  for (let n = 0; n < 100; n++) {
    memory.keepItem({ pk: `p${n}`, sk: 'a', rev: 1, body: n }, text);
    expect(memory.item({ pk: 'p0', sk: 'a' })?.body).toBe(0);
  }
  const kept = Array.from({ length: 100 }, (_, n) => memory.item({ pk: `p${n}`, sk: 'a' }));
  expect(kept.filter(Boolean).length).toBeLessThan(20);
});

it('a partition that has too much begins anew, and drives out no other', () => {
  const memory = tableMemory();
  memory.keepItem({ pk: 'small', sk: 'a', rev: 1, body: 1 }, 1);
  for (let n = 0; n < 200; n++) memory.keepItem({ pk: 'large', sk: `${n}`, rev: 1, body: n }, 500_000);
  expect(memory.item({ pk: 'large', sk: '199' })?.body).toBe(199);
  expect(memory.item({ pk: 'large', sk: '0' })).toBeUndefined();
  expect(memory.item({ pk: 'small', sk: 'a' })?.body).toBe(1);
});

it('long keys count too: whoever asks for ever other pages does not fill the memory', () => {
  const memory = tableMemory();
  const prefix = (n: number) => `${n}`.padEnd(1000, 'x');
  const none = () => ({ items: [], more: false });
  for (let n = 0; n < 20_000; n++) memory.keepPage({ pk: `p${n}`, prefix: prefix(n), limit: 10 }, none(), 0);
  const kept = Array.from({ length: 20_000 }, (_, n) =>
    memory.page({ pk: `p${n}`, prefix: prefix(n), limit: 10 }),
  );
  expect(kept.filter(Boolean).length).toBeLessThan(16_000);
});
