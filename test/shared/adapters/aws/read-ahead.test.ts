import { AsyncResource } from 'node:async_hooks';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readAhead } from '../../../../shared/adapters/aws/read-ahead.ts';
import { openSqliteTable, type SqliteTable } from '../../../../shared/adapters/local/sqlite-table.ts';
import type { Key, Table } from '../../../../shared/ports/table.ts';

let dir: string;
let stored: SqliteTable;
let calls: string[];
let table: Table;

const alias: Key = { pk: 'model', sk: 'alias' };
const version = (number: number): Key => ({ pk: 'model', sk: `version ${number}` });

beforeEach(async () => {
  calls = [];
  dir = await mkdtemp(join(tmpdir(), 'cairn-test-'));
  stored = await openSqliteTable(join(dir, 'table.sqlite'));
  await stored.transact([
    { put: { ...alias, body: 1 }, if: 'absent' },
    { put: { ...version(1), body: 'first' }, if: 'absent' },
    { put: { ...version(2), body: 'second' }, if: 'absent' },
  ]);
  table = {
    ...stored,
    get: (key) => {
      calls.push(`get ${key.sk}`);
      return stored.get(key);
    },
    getMany: (keys) => {
      calls.push(`getMany ${keys.map(({ sk }) => sk)}`);
      return stored.getMany(keys);
    },
  };
});

afterEach(async () => {
  await stored.close();
  await rm(dir, { recursive: true });
});

const versionOfAlias = async (from: Table) => {
  const number = (await from.get(alias))?.body as number;
  return (await from.get(version(number)))?.body;
};

test('what a request read item by item is read in one call the next time', async () => {
  const { table: ahead, during } = readAhead(table);
  expect(await during('champion', () => versionOfAlias(ahead))).toBe('first');
  expect(calls.splice(0)).toEqual(['get alias', 'get version 1']);
  expect(await during('champion', () => versionOfAlias(ahead))).toBe('first');
  expect(calls).toEqual(['getMany alias,version 1']);
});

test('an item that has become another one is read as it is now', async () => {
  const { table: ahead, during } = readAhead(table);
  await during('champion', () => versionOfAlias(ahead));
  await table.transact([{ put: { ...alias, body: 2 }, if: { rev: 1 } }]);
  calls = [];
  expect(await during('champion', () => versionOfAlias(ahead))).toBe('second');
  expect(calls.splice(0)).toEqual(['getMany alias,version 1', 'get version 2']);
  expect(await during('champion', () => versionOfAlias(ahead))).toBe('second');
  expect(calls).toEqual(['getMany alias,version 2']);
});

test('requests of other names, and reads outside a request, are read as ever', async () => {
  const { table: ahead, during } = readAhead(table, 1);
  await during('champion', () => versionOfAlias(ahead));
  await during('challenger', () => versionOfAlias(ahead));
  await versionOfAlias(ahead);
  await during('champion', () => versionOfAlias(ahead));
  expect(calls).toEqual(Array.from({ length: 4 }, () => ['get alias', 'get version 1']).flat());
});

test('two requests at once do not see what the other one reads', async () => {
  const { table: ahead, during } = readAhead(table);
  const both = () =>
    Promise.all([
      during('champion', () => versionOfAlias(ahead)),
      during('second', async () => (await ahead.get(version(2)))?.body),
    ]);
  expect(await both()).toEqual(['first', 'second']);
  calls = [];
  expect(await both()).toEqual(['first', 'second']);
  expect(calls.sort()).toEqual(['getMany alias,version 1', 'getMany version 2']);
});

test('what goes on after the answer reads what is there then', async () => {
  const { table: ahead, during } = readAhead(table);
  await during('champion', () => versionOfAlias(ahead));
  const later = await during('champion', async () => {
    await versionOfAlias(ahead);
    return AsyncResource.bind(() => versionOfAlias(ahead));
  });
  await table.transact([{ put: { ...alias, body: 2 }, if: { rev: 1 } }]);
  expect(await later()).toBe('second');
});
