import type { Caller } from '../../../shared/access/caller.ts';
import { seesEvent } from '../../../shared/access/token.ts';
import type { DomainEvent } from '../../../shared/ports/event-bus.ts';
import type { ApiDeps } from '../deps.ts';
import { rfc3339 } from '../time.ts';

/** Keeps proxies from closing a silent connection; a token that was revoked or has expired is seen this much later. */
const HEARTBEAT_MS = 15_000;
/** Events waiting for a client that does not read; a slower one is cut off and can connect again. */
const BACKLOG = 1000;

/**
 * The workspace's events that the caller may see as server-sent events.
 * Source: WHATWG HTML, "Server-sent events", 9.2.6 Interpreting an event stream.
 */
export function eventStream(
  subscribe: NonNullable<ApiDeps['subscribe']>,
  workspace: string,
  caller: Caller,
  stillAllowed: () => Promise<unknown>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let stop = () => {};
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const send = (text: string) => {
          if ((controller.desiredSize ?? 0) <= 0) {
            stop();
            controller.error(new Error('the client does not read'));
            return;
          }
          controller.enqueue(encoder.encode(text));
        };
        let open = true;
        const end = () => {
          if (open) controller.close();
          stop();
        };
        const heartbeat = setInterval(() => {
          stillAllowed().then(() => send(':\n\n'), end);
        }, HEARTBEAT_MS);
        heartbeat.unref();
        const unsubscribe = subscribe((event) => {
          if (event.workspace === workspace && seesEvent(caller, event.resource, event.data.after))
            send(formatEvent(event));
        });
        stop = () => {
          open = false;
          clearInterval(heartbeat);
          unsubscribe();
        };
        send(': connected\n\n');
      },
      cancel: () => stop(),
    },
    { highWaterMark: BACKLOG },
  );
}

const formatEvent = (event: DomainEvent) =>
  `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify({ ...event, at: rfc3339(event.at) })}\n\n`;
