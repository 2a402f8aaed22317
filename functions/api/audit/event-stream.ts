import type { Caller } from '../../../shared/access/caller.ts';
import { seesEvent } from '../../../shared/access/token.ts';
import { domainEventOf } from '../../../shared/audit/commit.ts';
import type { AuditEvent } from '../../../shared/audit/event.ts';
import { eventsAfter, idAt } from '../../../shared/audit/feed.ts';
import { CairnError } from '../../../shared/errors.ts';
import type { DomainEvent } from '../../../shared/ports/event-bus.ts';
import type { Ports } from '../../../shared/ports/ports.ts';
import type { ApiDeps } from '../deps.ts';
import { rfc3339 } from '../time.ts';

/** Keeps proxies from closing a silent connection; a token that was revoked or has expired is seen this much later. */
const HEARTBEAT_MS = 15_000;
/** Events waiting for a client that does not read; a slower one is cut off and can connect again. */
const BACKLOG = 1000;
/** Past events in one answer; the client connects again for more. */
const PAST = 500;
const RETRY_MS = 3000;
/** Another writer may be this late with an event whose id is older: it is told the next time, and none is left out. */
const SETTLED_MS = 2000;

interface Listening {
  readonly ports: Pick<Ports, 'table' | 'clock'>;
  readonly workspace: string;
  readonly caller: Caller;
  /** The id of the last event that the client has; undefined for one that begins. */
  readonly since: string | undefined;
}

/**
 * Where a client goes on that says which event it has seen last.
 * @throws CairnError `INVALID_ARGUMENT` for what is no event's id: to begin anew would leave events out
 */
export function startOf(lastEventId: string | null | undefined, createdAt: number): string | undefined {
  if (!lastEventId) return undefined;
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(lastEventId))
    throw new CairnError('INVALID_ARGUMENT', `"${lastEventId}" is no event’s id.`, 'Last-Event-ID');
  const first = idAt(createdAt);
  return lastEventId < first ? first : lastEventId;
}

/**
 * What has happened since the event that the client has, as server-sent events of an answer that ends: the client comes
 * again after {@link RETRY_MS}. One that begins is only told from where on. The last line names the event up to which all
 * was looked at, whether or not the caller may see it.
 */
export async function eventsSince({ ports, workspace, caller, since }: Listening): Promise<string> {
  const until = idAt(ports.clock.now() - SETTLED_MS);
  const past =
    since === undefined || since >= until
      ? []
      : await eventsAfter(ports.table, { workspace, after: since, until, limit: PAST });
  const last = past.length === PAST ? past.at(-1)?.id : until;
  const next = since !== undefined && since > (last ?? '') ? since : last;
  return [`retry: ${RETRY_MS}\n\n`, ...seen(past, caller).map(formatEvent), `id: ${next}\n\n`].join('');
}

const seen = (events: readonly AuditEvent[], caller: Caller): DomainEvent[] =>
  events.filter(({ chain, after }) => seesEvent(caller, chain, after)).map(domainEventOf);

/**
 * The workspace's events that the caller may see as server-sent events, from the one that the client has on.
 * Source: WHATWG HTML, "Server-sent events", 9.2.6 Interpreting an event stream.
 */
export function eventStream({
  subscribe,
  ports,
  workspace,
  caller,
  stillAllowed,
  since,
}: Listening & {
  readonly subscribe: NonNullable<ApiDeps['subscribe']>;
  readonly stillAllowed: () => Promise<unknown>;
}): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stop = () => {};
  return new ReadableStream<Uint8Array>(
    {
      async start(controller) {
        let open = true;
        const send = (text: string) => {
          if (!open) return;
          if ((controller.desiredSize ?? 0) <= 0) {
            stop();
            controller.error(new Error('the client does not read'));
            return;
          }
          controller.enqueue(encoder.encode(text));
        };
        const end = () => {
          if (open) controller.close();
          stop();
        };
        const heartbeat = setInterval(() => {
          stillAllowed().then(() => send(':\n\n'), end);
        }, HEARTBEAT_MS);
        heartbeat.unref();
        /** What happens while the past is read. */
        let meanwhile: DomainEvent[] | undefined = since === undefined ? undefined : [];
        const unsubscribe = subscribe((event) => {
          if (event.workspace !== workspace || !seesEvent(caller, event.resource, event.data.after)) return;
          if (meanwhile) meanwhile.push(event);
          else send(formatEvent(event));
        });
        stop = () => {
          open = false;
          clearInterval(heartbeat);
          unsubscribe();
        };
        send(': connected\n\n');
        if (since === undefined) {
          // Where it goes on, should it end before anything has happened.
          send(`id: ${idAt(ports.clock.now())}\n\n`);
          return;
        }
        const until = idAt(ports.clock.now() + HEARTBEAT_MS);
        const query = { workspace, after: since, until, limit: PAST };
        const past = await eventsAfter(ports.table, query).catch((error) => {
          stop();
          throw error;
        });
        for (const event of seen(past, caller)) send(formatEvent(event));
        if (past.length === PAST) {
          send(`id: ${past.at(-1)?.id}\n\n`);
          end();
          return;
        }
        const told = new Set(past.map(({ id }) => id));
        for (const event of meanwhile ?? []) if (!told.has(event.id)) send(formatEvent(event));
        meanwhile = undefined;
      },
      cancel: () => stop(),
    },
    { highWaterMark: BACKLOG },
  );
}

const formatEvent = ({ inOutbox: _, ...event }: DomainEvent) =>
  `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify({ ...event, at: rfc3339(event.at) })}\n\n`;
