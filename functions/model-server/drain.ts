import type { Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import type { Log } from './log.ts';

/** How long an idle connection stays open for a request that is already on its way. */
const IDLE_MS = 1000;

interface DrainOptions {
  /** What requests under way get. */
  readonly seconds: number;
  readonly log: Log;
  /** Done before the process ends. */
  readonly onEnd: () => Promise<void> | void;
}

/**
 * Stops accepting connections, finishes the requests under way, and those that still come on open connections, then
 * exits: with 0, or with 1 when it took too long. A connection closes with its next answer, or when nothing came on it for a second.
 */
export function drain(server: Server, { seconds, log, onEnd }: DrainOptions): void {
  const end = async (code: number) => {
    await onEnd();
    process.exit(code);
  };
  log('info', 'draining');
  // http.Server's own close() would cut idle connections at once, with requests that are on their way.
  NetServer.prototype.close.call(server, () => {
    log('info', 'drained');
    void end(0);
  });
  // Once what has come by now has been read: a connection is not idle whose next request this thread was too busy to see.
  setInterval(() => setImmediate(() => server.closeIdleConnections()), IDLE_MS);
  setTimeout(() => {
    log('error', `requests were still under way ${seconds} seconds after SIGTERM`);
    void end(1);
  }, seconds * 1000);
}
