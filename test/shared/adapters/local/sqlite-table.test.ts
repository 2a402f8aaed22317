import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSqliteTable } from '../../../../shared/adapters/local/sqlite-table.ts';
import { ConditionFailed, type Op } from '../../../../shared/ports/table.ts';
import { tableContract } from '../../../contract/table.ts';
import { killedWhileWriting } from './killed-while-writing.ts';

tableContract('SQLite', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-table-'));
  const table = await openSqliteTable(join(dir, 'table.sqlite'));
  const close = async () => {
    await table.close();
    await rm(dir, { recursive: true });
  };
  return { table, close };
});

describe('the SQLite table', () => {
  let dir: string;
  let path: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'cairn-table-'));
    path = join(dir, 'table.sqlite');
  });
  afterEach(() => rm(dir, { recursive: true }));

  it('keeps what it acknowledged, and whole transactions only, when its process is killed while it writes', async () => {
    const acknowledged = new Set<number>();
    for (let round = 0; round < 5; round++) {
      for (const n of await killedWhileWriting('table', dir, 150)) acknowledged.add(n);
      const table = await openSqliteTable(path);
      const found = new Map<number, number>();
      for (let writer = 0; writer < 8; writer++) {
        for (let after = '', more = true; more; ) {
          const page = await table.query({ pk: `writer/${writer}`, after, limit: 1000 });
          for (const { sk } of page.items) {
            const n = Number(sk.split('#')[0]);
            found.set(n, (found.get(n) ?? 0) + 1);
          }
          after = page.items.at(-1)?.sk ?? '';
          more = page.more;
        }
      }
      await table.close();
      expect([...acknowledged].filter((n) => found.get(n) !== 3)).toEqual([]);
      expect([...found].filter(([, items]) => items !== 3)).toEqual([]);
    }
    expect(acknowledged.size).toBeGreaterThanOrEqual(5 * 150);
  }, 60_000);

  it('finds what was written before it was closed', async () => {
    const before = await openSqliteTable(path);
    await before.transact([{ put: { pk: 'p', sk: 's', body: { n: 1 } }, if: 'absent' }]);
    await before.close();
    const after = await openSqliteTable(path);
    expect(await after.get({ pk: 'p', sk: 's' })).toEqual({ pk: 'p', sk: 's', rev: 1, body: { n: 1 } });
    await after.close();
  });

  it('writes what it was given before it was closed, and nothing after', async () => {
    const table = await openSqliteTable(path);
    const writing = table.transact([{ put: { pk: 'p', sk: 'before', body: 1 }, if: 'absent' }]);
    await table.close();
    await writing;
    await expect(table.transact([{ put: { pk: 'p', sk: 'after', body: 1 }, if: 'absent' }])).rejects.toThrow(
      'closed',
    );
  });

  it('refuses a file of a newer Cairn, saying so, and leaves it as it is', async () => {
    await (await openSqliteTable(path)).close();
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 2');
    db.close();
    await expect(openSqliteTable(path)).rejects.toThrow(/has format 2.*up to 1: run a newer Cairn/);
    const again = new DatabaseSync(path);
    expect(again.prepare('PRAGMA user_version').get()).toEqual({ user_version: 2 });
    again.close();
  });

  it('a transaction that fails among many that share its commit fails alone', async () => {
    const table = await openSqliteTable(path);
    const put = (sk: string): Op => ({ put: { pk: 'p', sk, body: sk }, if: 'absent' });
    const outcomes = await Promise.allSettled([
      table.transact([put('a'), put('b')]),
      table.transact([put('c'), put('b')]),
      table.transact([put('c'), put('d')]),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect((outcomes[1] as PromiseRejectedResult).reason).toEqual(new ConditionFailed([1]));
    expect((await table.query({ pk: 'p', limit: 10 })).items.map((item) => item.sk)).toEqual([
      'a',
      'b',
      'c',
      'd',
    ]);
    await table.close();
  });

  describe('when its writer fails', () => {
    const put = (sk: string): Op => ({ put: { pk: 'p', sk, body: sk }, if: 'absent' });
    afterEach(() => {
      vi.restoreAllMocks();
      vi.useRealTimers();
    });

    it('rejects with the reason when the database refuses, and stays usable', async () => {
      const table = await openSqliteTable(path);
      const other = new DatabaseSync(path);
      other.exec('ALTER TABLE item RENAME TO gone');
      await expect(table.transact([put('a')])).rejects.toThrow(/no such table/);
      other.exec('ALTER TABLE gone RENAME TO item');
      other.close();
      await table.transact([put('b')]);
      expect((await table.query({ pk: 'p', limit: 10 })).items.map(({ sk }) => sk)).toEqual(['b']);
      await table.close();
    });

    it('rejects what is under way when the thread dies, and writes on with a new one', async () => {
      const table = await openSqliteTable(path);
      vi.spyOn(Worker.prototype, 'postMessage').mockImplementationOnce(function (this: Worker) {
        void this.terminate();
      });
      await expect(table.transact([put('a')])).rejects.toThrow(/has ended/);
      await table.transact([put('b')]);
      expect((await table.query({ pk: 'p', limit: 10 })).items.map(({ sk }) => sk)).toEqual(['b']);
      await table.close();
    });

    it('rejects what is under way when the thread does not answer', async () => {
      const table = await openSqliteTable(path);
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const sent = new Promise<void>((resolve) => {
        vi.spyOn(Worker.prototype, 'postMessage').mockImplementationOnce(() => resolve());
      });
      const rejected = expect(table.transact([put('a')])).rejects.toThrow(/does not answer/);
      await sent;
      await vi.runAllTimersAsync();
      await rejected;
      vi.useRealTimers();
      await table.transact([put('b')]);
      await table.close();
    });
  });

  it('deletes expired items some time after they expired, and no others', async () => {
    let now = 1_000_000;
    const table = await openSqliteTable(path, { now: () => now * 1000 });
    const item = (sk: string, expiresAt?: number): Op => ({
      put: { pk: 'p', sk, body: 1, ...(expiresAt === undefined ? {} : { expiresAt }) },
      if: 'absent',
    });
    await table.transact([item('soon', now + 10), item('late', now + 1000), item('never')]);
    now += 100;
    await table.close();
    const later = await openSqliteTable(path, { now: () => now * 1000 });
    await later.transact([item('another')]);
    const { items } = await later.query({ pk: 'p', limit: 10 });
    expect(items.map(({ sk }) => sk)).toEqual(['another', 'late', 'never']);
    await later.close();
  });

  it('refuses keys that UTF-8 cannot hold or DynamoDB would not take', async () => {
    const table = await openSqliteTable(path);
    await expect(table.get({ pk: 'p', sk: '\ud800' })).rejects.toThrow(/well-formed/);
    await expect(table.get({ pk: 'p', sk: 'é'.repeat(513) })).rejects.toThrow(/at most 1024 bytes/);
    await expect(table.get({ pk: 'é'.repeat(1025), sk: 's' })).rejects.toThrow(/at most 2048 bytes/);
    expect(await table.get({ pk: 'é'.repeat(1024), sk: 'é'.repeat(512) })).toBeUndefined();
    await table.close();
  });
});
