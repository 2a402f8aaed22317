import { AsyncLocalStorage } from 'node:async_hooks';
import type { Item, Key, Table } from '../../ports/table.ts';

export interface ReadAhead {
  readonly table: Table;
  /** Runs a request that only reads; `name` says what it asks for, and for whom. */
  during<T>(name: string, request: () => Promise<T>): Promise<T>;
}

interface Reading {
  /** Of the items that the same request read last time: asked for together, with its first read. */
  readonly expected: readonly Key[];
  ahead?: Promise<ReadonlyMap<string, Item | undefined>>;
  readonly read: Key[];
  /** What goes on after the answer has begun, such as a stream, reads what is there then. */
  answered: boolean;
}

/** The most that one call reads (DynamoDB's BatchGetItem), and more than any small answer needs. */
const MOST_KEYS = 100;

/**
 * A table for requests that read item after item, each naming the next: a token, a model's name, an alias, its version.
 * The first time those are calls one after the other. A request of the same name then asks for all of them with its first
 * read, in one call; each is as fresh as that call, and an item that turns out to be another one is read as ever.
 * @param remembered how many requests' keys are kept
 */
export function readAhead(table: Table, remembered = 1000): ReadAhead {
  const known = new Map<string, readonly Key[]>();
  const current = new AsyncLocalStorage<Reading>();

  const get = async (key: Key): Promise<Item | undefined> => {
    const reading = current.getStore();
    if (reading === undefined || reading.answered) return table.get(key);
    if (reading.read.length < MOST_KEYS) reading.read.push(key);
    const name = nameOf(key);
    if (!reading.expected.some((expected) => nameOf(expected) === name)) return table.get(key);
    reading.ahead ??= readAll(table, reading.expected);
    return (await reading.ahead).get(name);
  };

  return {
    table: {
      get,
      getMany: (keys) => table.getMany(keys),
      query: (query) => table.query(query),
      transact: (ops) => table.transact(ops),
    },
    during: (name, request) => {
      const reading: Reading = { expected: known.get(name) ?? [], read: [], answered: false };
      return current.run(reading, async () => {
        const answer = await request();
        reading.answered = true;
        known.delete(name);
        known.set(name, unique(reading.read));
        const [oldest] = known.keys();
        if (known.size > remembered && oldest !== undefined) known.delete(oldest);
        return answer;
      });
    },
  };
}

async function readAll(table: Table, keys: readonly Key[]): Promise<Map<string, Item | undefined>> {
  const items = await table.getMany(keys);
  return new Map(keys.map((key, n) => [nameOf(key), items[n]]));
}

const nameOf = ({ pk, sk }: Key) => `${pk}\n${sk}`;

const unique = (keys: readonly Key[]) => [...new Map(keys.map((key) => [nameOf(key), key])).values()];
