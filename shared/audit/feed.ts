import { createHash } from 'node:crypto';
import type { NewItem, Table } from '../ports/table.ts';
import type { AuditEvent } from './event.ts';
import { eventKey } from './keys.ts';

/** Partitions that a workspace's month is spread over, so that no single one takes all its writes. */
const SHARDS = 4;

/** A pointer from the workspace's feed, which is ordered by time, to the event in its resource's chain. */
interface FeedEntry {
  readonly chain: string;
  readonly seq: number;
}

/** The feed's item for an event, written in the event's own transaction. */
export function feedItem(event: AuditEvent): NewItem {
  const entry: FeedEntry = { chain: event.chain, seq: event.seq };
  const shard = createHash('sha256').update(event.chain).digest().readUInt8(0) % SHARDS;
  return { pk: partition(event.workspace, month(event.at), shard), sk: event.id, body: entry };
}

/**
 * A workspace's events, newest first, older than the event `before`.
 * Reads no further back than `since` (milliseconds since the epoch), for example the workspace's creation.
 */
export async function recentEvents(
  table: Table,
  query: { workspace: string; now: number; since: number; before?: string | undefined; limit: number },
): Promise<AuditEvent[]> {
  const entries: (FeedEntry & { id: string })[] = [];
  for (const name of monthsBack(query.now, query.since)) {
    const pages = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        table.query({
          pk: partition(query.workspace, name, shard),
          reverse: true,
          limit: query.limit,
          after: query.before,
        }),
      ),
    );
    const found = pages.flatMap((page) =>
      page.items.map((item) => ({ ...(item.body as FeedEntry), id: item.sk })),
    );
    found.sort((a, b) => (a.id < b.id ? 1 : -1));
    entries.push(...found.slice(0, query.limit - entries.length));
    if (entries.length === query.limit) break;
  }
  return eventsAt(table, entries);
}

/**
 * A workspace's events after the one with the id `after`, oldest first, of those whose id is smaller than `until`'s.
 */
export async function eventsAfter(
  table: Table,
  query: { workspace: string; after: string; until: string; limit: number },
): Promise<AuditEvent[]> {
  // An id of the future, which a client may have made up, has nothing after it, and no month that ends the search.
  if (query.after >= query.until) return [];
  const found: (FeedEntry & { id: string })[] = [];
  const from = timeOfId(query.after) - ROLLBACK_MS;
  for (const name of [...monthsBack(timeOfId(query.until), from)].reverse()) {
    for (let { after } = query, more = true; more && found.length < query.limit; ) {
      const pages = await Promise.all(
        Array.from({ length: SHARDS }, (_, shard) =>
          table.query({ pk: partition(query.workspace, name, shard), limit: query.limit, after }),
        ),
      );
      // Beyond where a page that has more ends, there may be events that come before those of the other shards.
      const ends = pages.flatMap((page) => (page.more ? (page.items.at(-1)?.sk ?? []) : []));
      const known = ends.sort()[0];
      const entries = pages
        .flatMap((page) => page.items.map((item) => ({ ...(item.body as FeedEntry), id: item.sk })))
        .filter(({ id }) => known === undefined || id <= known)
        .sort((a, b) => (a.id < b.id ? -1 : 1));
      found.push(...entries);
      after = known ?? after;
      more = known !== undefined;
    }
  }
  return eventsAt(table, found.filter(({ id }) => id < query.until).slice(0, query.limit));
}

async function eventsAt(table: Table, entries: readonly FeedEntry[]): Promise<AuditEvent[]> {
  const events: AuditEvent[] = [];
  for (let at = 0; at < entries.length; at += 100) {
    const items = await table.getMany(
      entries.slice(at, at + 100).map((entry) => eventKey(entry.chain, entry.seq)),
    );
    events.push(...items.flatMap((item) => (item ? [item.body as AuditEvent] : [])));
  }
  return events;
}

/** An event's id may be this much later than its time, after the clock was set back. */
const ROLLBACK_MS = 10_000;

/** The smallest id of a UUIDv7 of that time (RFC 9562, 5.7). */
export function idAt(time: number): string {
  const hex = Math.max(0, time).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

const timeOfId = (id: string) => Number.parseInt(id.slice(0, 13).replace('-', ''), 16);

const partition = (workspace: string, monthName: string, shard: number) =>
  `events/${workspace}/${monthName}/${shard}`;

const month = (at: number) => new Date(at).toISOString().slice(0, 7);

function* monthsBack(from: number, to: number): Generator<string> {
  const at = new Date(from);
  for (;;) {
    const name = month(at.getTime());
    yield name;
    if (name <= month(to)) return;
    at.setUTCDate(1);
    at.setUTCMonth(at.getUTCMonth() - 1);
  }
}
