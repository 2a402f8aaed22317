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
  const events: AuditEvent[] = [];
  for (let at = 0; at < entries.length; at += 100) {
    const items = await table.getMany(
      entries.slice(at, at + 100).map((entry) => eventKey(entry.chain, entry.seq)),
    );
    events.push(...items.flatMap((item) => (item ? [item.body as AuditEvent] : [])));
  }
  return events;
}

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
