import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ConditionFailed,
  type Item,
  type NewItem,
  type Op,
  type Query,
  type Table,
} from '../../shared/ports/table.ts';

export interface TableUnderTest {
  readonly table: Table;
  close(): Promise<void>;
}

/** What every Table promises. The table may hold other items: each test keeps to partitions of its own. */
export function tableContract(name: string, open: () => Promise<TableUnderTest>): void {
  describe(`Table: ${name}`, () => {
    let opened: TableUnderTest;
    let table: Table;
    beforeAll(async () => {
      opened = await open();
      table = opened.table;
    });
    afterAll(() => opened.close());

    const create = (item: NewItem): Promise<void> => table.transact([{ put: item, if: 'absent' }]);
    const fill = async (pk: string, sks: readonly string[]): Promise<void> => {
      for (let at = 0; at < sks.length; at += 100) {
        await table.transact(
          sks.slice(at, at + 100).map((sk): Op => ({ put: { pk, sk, body: sk }, if: 'absent' })),
        );
      }
    };
    /** All pages of a query, in order. */
    const all = async (query: Query): Promise<Item[]> => {
      const items: Item[] = [];
      for (let after = query.after; ; after = items.at(-1)?.sk) {
        const page = await table.query({ ...query, ...(after === undefined ? {} : { after }) });
        expect(page.items.length).toBeLessThanOrEqual(query.limit);
        items.push(...page.items);
        if (!page.more) return items;
        expect(page.items.length).toBeGreaterThan(0);
      }
    };

    describe('one item', () => {
      it('is read back as it was written, with revision 1', async () => {
        const pk = partition();
        const body = {
          text: 'Grüße \u{1F5FF} "\\"',
          n: -1.5,
          list: [1, null, true, {}],
          nested: { a: [] },
          empty: '',
        };
        await create({ pk, sk: 'a', body, bytes: Uint8Array.of(0, 255, 1), expiresAt: 4_102_444_800 });
        const item = await table.get({ pk, sk: 'a' });
        expect(item).toMatchObject({ pk, sk: 'a', rev: 1, body, expiresAt: 4_102_444_800 });
        expect([...(item?.bytes ?? [])]).toEqual([0, 255, 1]);
      });

      it('has neither bytes nor expiry that nobody gave it', async () => {
        const pk = partition();
        await create({ pk, sk: 'a', body: {} });
        expect(await table.get({ pk, sk: 'a' })).toEqual({ pk, sk: 'a', rev: 1, body: {} });
      });

      it('is undefined when there is none', async () => {
        expect(await table.get({ pk: partition(), sk: 'nothing' })).toBeUndefined();
      });

      it('stays as it is: what a reader would change nobody else sees', async () => {
        const pk = partition();
        await create({ pk, sk: 'a', body: { list: [1] } });
        const item = (await table.get({ pk, sk: 'a' })) as Item<{ list: number[] }>;
        try {
          item.body.list.push(2);
        } catch {
          // A store may hand out what cannot be changed.
        }
        expect((await table.get({ pk, sk: 'a' }))?.body).toEqual({ list: [1] });
      });

      it('holds 350 KB', async () => {
        const pk = partition();
        const body = 'é'.repeat(100_000);
        const bytes = new Uint8Array(150_000).fill(7);
        await create({ pk, sk: 'big', body, bytes });
        const item = await table.get({ pk, sk: 'big' });
        expect(item?.body).toBe(body);
        expect(Buffer.compare(item?.bytes ?? Buffer.alloc(0), bytes)).toBe(0);
      });

      it('is refused when it is larger than that, and so is all of its transaction', async () => {
        const pk = partition();
        const transaction = table.transact([
          { put: { pk, sk: 'small', body: {} }, if: 'absent' },
          { put: { pk, sk: 'large', body: 'x'.repeat(420_000) }, if: 'absent' },
        ]);
        await expect(transaction).rejects.toThrow();
        expect(await table.get({ pk, sk: 'small' })).toBeUndefined();
      });

      it('is refused with an empty key', async () => {
        await expect(create({ pk: partition(), sk: '', body: {} })).rejects.toThrow();
        await expect(create({ pk: '', sk: 'a', body: {} })).rejects.toThrow();
      });

      it('tells keys apart that look alike', async () => {
        const pk = partition();
        const sks = ['a', 'A', 'a ', 'é', 'e\u0301', "a'b", 'a"b', 'a%', 'a_', 'a/b', 'a#b', '\u0001'];
        await fill(pk, sks);
        const items = await table.getMany(sks.map((sk) => ({ pk, sk })));
        expect(items.map((item) => item?.body)).toEqual(sks);
      });
    });

    describe('conditions', () => {
      it('`absent` creates once', async () => {
        const pk = partition();
        await create({ pk, sk: 'a', body: 1 });
        await expect(create({ pk, sk: 'a', body: 2 })).rejects.toEqual(new ConditionFailed([0]));
        expect(await table.get({ pk, sk: 'a' })).toMatchObject({ rev: 1, body: 1 });
      });

      it('`rev` replaces exactly that revision and counts one up', async () => {
        const pk = partition();
        await create({ pk, sk: 'a', body: 1, bytes: Uint8Array.of(1) });
        await table.transact([{ put: { pk, sk: 'a', body: 2 }, if: { rev: 1 } }]);
        expect(await table.get({ pk, sk: 'a' })).toEqual({ pk, sk: 'a', rev: 2, body: 2 });
        await expect(table.transact([{ put: { pk, sk: 'a', body: 3 }, if: { rev: 1 } }])).rejects.toThrow(
          ConditionFailed,
        );
        await expect(table.transact([{ put: { pk, sk: 'b', body: 3 }, if: { rev: 1 } }])).rejects.toThrow(
          ConditionFailed,
        );
        expect(await table.get({ pk, sk: 'a' })).toMatchObject({ rev: 2, body: 2 });
      });

      it('`rev` deletes exactly that revision; afterwards the item is as new', async () => {
        const pk = partition();
        await create({ pk, sk: 'a', body: 1 });
        await expect(table.transact([{ delete: { pk, sk: 'a' }, if: { rev: 2 } }])).rejects.toEqual(
          new ConditionFailed([0]),
        );
        await table.transact([{ delete: { pk, sk: 'a' }, if: { rev: 1 } }]);
        expect(await table.get({ pk, sk: 'a' })).toBeUndefined();
        await create({ pk, sk: 'a', body: 2 });
        expect(await table.get({ pk, sk: 'a' })).toMatchObject({ rev: 1, body: 2 });
      });

      it('`any` deletes whether or not it is there', async () => {
        const pk = partition();
        await create({ pk, sk: 'a', body: 1 });
        await table.transact([{ delete: { pk, sk: 'a' }, if: 'any' }]);
        await table.transact([{ delete: { pk, sk: 'a' }, if: 'any' }]);
        expect(await table.get({ pk, sk: 'a' })).toBeUndefined();
      });

      it('a check changes nothing and can stop everything', async () => {
        const pk = partition();
        await create({ pk, sk: 'there', body: 1 });
        await table.transact([
          { check: { pk, sk: 'there' }, if: 'exists' },
          { check: { pk, sk: 'gone' }, if: 'absent' },
          { put: { pk, sk: 'a', body: 1 }, if: 'absent' },
        ]);
        expect((await table.get({ pk, sk: 'there' }))?.rev).toBe(1);
        for (const check of [
          { check: { pk, sk: 'there' }, if: 'absent' },
          { check: { pk, sk: 'there' }, if: { rev: 2 } },
          { check: { pk, sk: 'gone' }, if: 'exists' },
          { check: { pk, sk: 'gone' }, if: { rev: 1 } },
        ] satisfies Op[]) {
          const transaction = table.transact([{ put: { pk, sk: 'b', body: 1 }, if: 'absent' }, check]);
          await expect(transaction).rejects.toEqual(new ConditionFailed([1]));
        }
        expect(await table.get({ pk, sk: 'b' })).toBeUndefined();
      });
    });

    describe('transactions', () => {
      it('name every operation that failed, and change nothing', async () => {
        const pk = partition();
        await fill(pk, ['a', 'b', 'c']);
        const transaction = table.transact([
          { put: { pk, sk: 'a', body: 'changed' }, if: { rev: 1 } },
          { put: { pk, sk: 'b', body: 'changed' }, if: 'absent' },
          { delete: { pk, sk: 'c' }, if: 'any' },
          { put: { pk, sk: 'd', body: 'new' }, if: 'absent' },
          { check: { pk, sk: 'e' }, if: 'exists' },
        ]);
        await expect(transaction).rejects.toEqual(new ConditionFailed([1, 4]));
        const items = await table.getMany(['a', 'b', 'c', 'd'].map((sk) => ({ pk, sk })));
        expect(items.map((item) => item?.body)).toEqual(['a', 'b', 'c', undefined]);
      });

      it('span partitions and take 100 operations', async () => {
        const pks = Array.from({ length: 100 }, partition);
        await table.transact(pks.map((pk): Op => ({ put: { pk, sk: 'a', body: pk }, if: 'absent' })));
        const items = await table.getMany(pks.map((pk) => ({ pk, sk: 'a' })));
        expect(items.map((item) => item?.body)).toEqual(pks);
      });

      it('are refused with 101 operations', async () => {
        const pk = partition();
        const ops = Array.from(
          { length: 101 },
          (_, n): Op => ({ put: { pk, sk: `${n}`, body: n }, if: 'absent' }),
        );
        await expect(table.transact(ops)).rejects.toThrow();
        expect(await table.get({ pk, sk: '0' })).toBeUndefined();
      });

      it('are refused with two operations on one key', async () => {
        const pk = partition();
        const transaction = table.transact([
          { put: { pk, sk: 'a', body: 1 }, if: 'absent' },
          { check: { pk, sk: 'a' }, if: 'absent' },
        ]);
        await expect(transaction).rejects.toThrow();
        expect(await table.get({ pk, sk: 'a' })).toBeUndefined();
      });

      it('that collide have one winner', async () => {
        const pk = partition();
        const outcomes = await Promise.allSettled(
          Array.from({ length: 20 }, (_, n) =>
            table.transact([
              { put: { pk, sk: 'name', body: n }, if: 'absent' },
              { put: { pk, sk: `of-${n}`, body: n }, if: 'absent' },
            ]),
          ),
        );
        const winners = outcomes.flatMap(({ status }, n) => (status === 'fulfilled' ? [n] : []));
        expect(winners).toHaveLength(1);
        expect((await table.get({ pk, sk: 'name' }))?.body).toBe(winners[0]);
        const page = await table.query({ pk, prefix: 'of-', limit: 100 });
        expect(page.items.map((item) => item.body)).toEqual(winners);
      });

      it('50 writers that compare and swap lose no increment', async () => {
        const pk = partition();
        await create({ pk, sk: 'counter', body: 0 });
        const increment = async (): Promise<void> => {
          for (;;) {
            const item = await table.get({ pk, sk: 'counter' });
            const op: Op = {
              put: { pk, sk: 'counter', body: (item?.body as number) + 1 },
              if: { rev: item?.rev ?? 0 },
            };
            try {
              return await table.transact([op]);
            } catch (error) {
              if (!(error instanceof ConditionFailed)) throw error;
            }
          }
        };
        await Promise.all(Array.from({ length: 50 }, increment));
        expect(await table.get({ pk, sk: 'counter' })).toMatchObject({ rev: 51, body: 50 });
      }, 60_000);

      it('are seen by everyone who reads after they resolved', async () => {
        const pk = partition();
        for (let n = 1; n <= 20; n++) {
          await table.transact([{ put: { pk, sk: 'a', body: n }, if: n === 1 ? 'absent' : { rev: n - 1 } }]);
          expect((await table.get({ pk, sk: 'a' }))?.body).toBe(n);
        }
      });
    });

    describe('getMany', () => {
      it('answers in the order of the keys, with gaps', async () => {
        const pk = partition();
        await fill(pk, ['a', 'b', 'c']);
        const items = await table.getMany(['c', 'x', 'a', 'b'].map((sk) => ({ pk, sk })));
        expect(items.map((item) => item?.sk)).toEqual(['c', undefined, 'a', 'b']);
        expect(await table.getMany([])).toEqual([]);
      });

      it('takes 100 large items', async () => {
        const pk = partition();
        const sks = Array.from({ length: 100 }, (_, n) => `${n}`);
        const body = 'x'.repeat(200_000);
        for (let at = 0; at < sks.length; at += 10) {
          await table.transact(
            sks.slice(at, at + 10).map((sk): Op => ({ put: { pk, sk, body }, if: 'absent' })),
          );
        }
        const items = await table.getMany(sks.map((sk) => ({ pk, sk })));
        expect(items.map((item) => item?.sk)).toEqual(sks);
      });

      it('refuses 101 keys', async () => {
        const keys = Array.from({ length: 101 }, (_, n) => ({ pk: 'p', sk: `${n}` }));
        await expect(table.getMany(keys)).rejects.toThrow();
      });
    });

    describe('queries', () => {
      const numbered = Array.from({ length: 25 }, (_, n) => `version#${String(n).padStart(3, '0')}`);

      it('keep to their partition', async () => {
        const pk = partition();
        await fill(pk, ['a']);
        await fill(`${pk}/more`, ['b']);
        expect((await all({ pk, limit: 10 })).map((item) => item.sk)).toEqual(['a']);
        expect(await table.query({ pk: partition(), limit: 10 })).toEqual({ items: [], more: false });
      });

      it.each([1, 7, 25, 1000])('page forward and backward, %d at a time', async (limit) => {
        const pk = partition();
        await fill(pk, ['alias#champion', ...numbered, 'versions', 'w']);
        const forward = await all({ pk, prefix: 'version#', limit });
        expect(forward.map((item) => item.sk)).toEqual(numbered);
        const backward = await all({ pk, prefix: 'version#', reverse: true, limit });
        expect(backward.map((item) => item.sk)).toEqual(numbered.toReversed());
      });

      it('go on after a sort key, whether or not it is there', async () => {
        const pk = partition();
        await fill(pk, ['a', 'b', 'b2', 'c']);
        const sks = async (query: Omit<Query, 'pk' | 'limit'>) =>
          (await all({ pk, limit: 10, ...query })).map((item) => item.sk);
        expect(await sks({ after: 'b' })).toEqual(['b2', 'c']);
        expect(await sks({ after: 'b1' })).toEqual(['b2', 'c']);
        expect(await sks({ after: 'c' })).toEqual([]);
        expect(await sks({ after: 'b', reverse: true })).toEqual(['a']);
        expect(await sks({ after: 'b1', reverse: true })).toEqual(['b', 'a']);
        expect(await sks({ prefix: 'b', after: 'a' })).toEqual(['b', 'b2']);
        expect(await sks({ prefix: 'b', after: 'b' })).toEqual(['b2']);
        expect(await sks({ prefix: 'b', after: 'c' })).toEqual([]);
        expect(await sks({ prefix: 'b', after: 'c', reverse: true })).toEqual(['b2', 'b']);
        expect(await sks({ prefix: 'b', after: 'b2', reverse: true })).toEqual(['b']);
        expect(await sks({ prefix: 'b', after: 'a', reverse: true })).toEqual([]);
      });

      it('take a prefix as it is written', async () => {
        const pk = partition();
        await fill(pk, ['a%b', 'a%c', 'axb', 'A%b', 'a_', 'a\u{10FFFF}', 'a\u{10FFFF}\u{10FFFF}z']);
        const sks = async (prefix: string) => (await all({ pk, prefix, limit: 10 })).map((item) => item.sk);
        expect(await sks('a%')).toEqual(['a%b', 'a%c']);
        expect(await sks('a_')).toEqual(['a_']);
        expect(await sks('a\u{10FFFF}')).toEqual(['a\u{10FFFF}', 'a\u{10FFFF}\u{10FFFF}z']);
      });

      it('are in the byte order of UTF-8, not in that of UTF-16 or of a language', async () => {
        const pk = partition();
        // U+FF5E is before U+1F5FF in UTF-8, and behind its surrogates in UTF-16.
        const ordered = ['10', '9', 'B', 'Z', 'a', 'b', 'é', 'ÿ', '语', '\uff5e', '\u{1F5FF}'];
        await fill(pk, ordered.toReversed());
        expect((await all({ pk, limit: 3 })).map((item) => item.sk)).toEqual(ordered);
        expect((await all({ pk, limit: 3, reverse: true })).map((item) => item.sk)).toEqual(
          ordered.toReversed(),
        );
      });

      it('deliver pages of large items to the last', async () => {
        const pk = partition();
        const sks = Array.from({ length: 30 }, (_, n) => String(n).padStart(2, '0'));
        for (const sk of sks) await create({ pk, sk, body: 'x'.repeat(300_000) });
        const items = await all({ pk, limit: 1000 });
        expect(items.map((item) => item.sk)).toEqual(sks);
      });

      it('answer whole items', async () => {
        const pk = partition();
        await create({ pk, sk: 'a', body: { n: 1 }, bytes: Uint8Array.of(1, 2), expiresAt: 4_102_444_800 });
        const { items } = await table.query({ pk, limit: 1 });
        expect(items).toHaveLength(1);
        expect(items[0]).toMatchObject({ pk, sk: 'a', rev: 1, body: { n: 1 }, expiresAt: 4_102_444_800 });
        expect([...(items[0]?.bytes ?? [])]).toEqual([1, 2]);
      });

      it('refuse a page of none', async () => {
        await expect(table.query({ pk: partition(), limit: 0 })).rejects.toThrow();
      });
    });
  });
}

/** A partition that nobody else has. */
const partition = (): string => `contract/${crypto.randomUUID()}`;
