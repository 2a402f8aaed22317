import * as http from 'node:http';
import * as https from 'node:https';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CliError, EXIT } from './cli-error.ts';

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes at hand, or a stream of exactly `length` bytes. */
  readonly body?: Uint8Array | { readonly stream: Readable; readonly length: number };
  readonly signal: AbortSignal;
  /** Milliseconds of silence after which the connection counts as broken. */
  readonly silence?: number;
}

const options = { keepAlive: true, maxSockets: 16 };
const agents = { 'http:': new http.Agent(options), 'https:': new https.Agent(options) };

/** Ends kept connections, so that the process can end. */
export function closeConnections(): void {
  for (const agent of Object.values(agents)) agent.destroy();
}

/**
 * Sends one request and answers as soon as the headers are there; follows no redirect.
 * On node:http because bodies need a Content-Length (S3 takes no chunked PUT), and because it starts faster than fetch.
 */
export async function send(request: HttpRequest): Promise<http.IncomingMessage> {
  const { url, method, body, signal, silence = 120_000 } = request;
  const length = body instanceof Uint8Array ? body.length : body?.length;
  const headers = {
    ...request.headers,
    ...(length === undefined ? {} : { 'content-length': String(length) }),
  };
  const { request: open } = url.protocol === 'https:' ? https : http;
  const outgoing = open(url, { method, headers, signal, agent: agents[url.protocol as keyof typeof agents] });
  outgoing.setTimeout(silence, () => outgoing.destroy(new Error(`no answer for ${silence / 1000} seconds`)));
  const answer = new Promise<http.IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    outgoing.on('error', reject);
  });
  if (body === undefined || body instanceof Uint8Array) {
    outgoing.end(body);
    return answer;
  }
  // The server may answer, and close, before it has read everything: its answer counts then.
  const sent = pipeline(body.stream, outgoing);
  const failed = new Promise<never>((_, reject) => sent.catch(() => answer.catch(reject)));
  return Promise.race([answer, failed]);
}

/** The whole body as text; at most `limit` bytes are kept. */
export async function readText(answer: Readable, limit = Number.POSITIVE_INFINITY): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    if (size < limit) chunks.push(chunk);
    size += chunk.length;
  }
  return Buffer.concat(chunks).subarray(0, limit).toString('utf8');
}

/** A failure that another attempt may not meet. */
export class Transient extends Error {
  /** Milliseconds that the server asks to wait. */
  readonly retryAfter: number | undefined;
  /** What to throw when no attempt is left. */
  readonly last: Error;
  constructor(last: Error, retryAfter?: number) {
    super(last.message);
    this.last = last;
    this.retryAfter = retryAfter;
  }
}

const ATTEMPTS = 6;
const FIRST_DELAY = 250;
const LONGEST_DELAY = 10_000;

/** Calls `attempt` until it does not throw {@link Transient}, at most 6 times, with exponential waits and full jitter. */
export async function withRetries<T>(signal: AbortSignal, attempt: () => Promise<T>): Promise<T> {
  for (let number = 1; ; number++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof Transient)) throw error;
      if (number === ATTEMPTS || signal.aborted) throw error.last;
      const jitter = Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** number);
      await pause(error.retryAfter ?? jitter, signal);
    }
  }
}

/** Waits so many milliseconds. @throws the signal's reason when it aborts */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const abort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, milliseconds);
    signal.addEventListener('abort', abort, { once: true });
  });
}

/** Whether a status may go away by itself. */
export const isTransientStatus = (status: number) => [429, 502, 503, 504].includes(status);

/** Milliseconds of a Retry-After header (RFC 9110, 10.2.3), at most a minute. */
export function retryAfterOf(answer: http.IncomingMessage): number | undefined {
  const header = answer.headers['retry-after'];
  if (header === undefined) return undefined;
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(wait) ? undefined : Math.min(60_000, Math.max(0, wait));
}

const NOT_THERE = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']);

/** Whether nothing was reached at all, rather than a connection broken. */
export const isNotThere = (error: unknown) => NOT_THERE.has(codeOf(error) ?? '');

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
}

/** Exit code 6, with what to do about it; `fix` for a server that is not Cairn. */
export function unreachable(url: URL, cause: unknown, fix = howToReach(url, codeOf(cause))): CliError {
  const reason = codeOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  return new CliError(
    { code: 'UNREACHABLE', detail: `Cannot reach ${url.href.replace(/\/$/, '')} (${reason}).`, fix },
    EXIT.unreachable,
  );
}

function howToReach(url: URL, code: string | undefined): string {
  const local = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname);
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return 'Check the host name in CAIRN_URL, --url or `cairn login`.';
  return local
    ? 'Is Cairn running? Start it with `npm start`, or name another server with CAIRN_URL or `cairn login <url>`.'
    : 'Check the address in CAIRN_URL, --url or `cairn login`, and that the server is running.';
}
