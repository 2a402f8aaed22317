import { randomUUID } from 'node:crypto';
import { type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { CairnError, ERRORS } from '../../errors.ts';
import type { EndpointRef } from '../../ports/serving-platform.ts';
import { pick, type RoutedRevision, type Upstream } from './gateway-upstream.ts';

export interface GatewayOptions {
  /** The endpoint's revisions with weight; called for every request, so that a shift counts for the next one. */
  readonly routes: (endpoint: EndpointRef) => readonly RoutedRevision[];
  /** Throws a CairnError when the request may not be made. */
  readonly authorise: (req: IncomingMessage, endpoint: EndpointRef) => Promise<void>;
  /** Asked when an endpoint has no revision at all. Throws a CairnError when there is no such endpoint. */
  readonly requireEndpoint?: (endpoint: EndpointRef) => Promise<unknown>;
  /** Told of every answer that a revision is to account for. */
  readonly record: (sample: GatewaySample) => void;
  /** The body of an answer to an error: the native API's problem details. */
  readonly problemOf: (error: CairnError, requestId: string) => object;
  /** Told of what should not happen. */
  readonly onError: (error: unknown, requestId: string) => void;
  /** Milliseconds that a replica has for its answer to begin. Default 60,000. */
  readonly timeout?: number;
}

/** One request as the client saw it; times in milliseconds. */
export interface GatewaySample extends EndpointRef {
  readonly revision: number;
  readonly status: number;
  readonly latencyMs: number;
  /** The model server's own times, from its `server-timing` header. */
  readonly modelMs?: number;
  readonly queueMs?: number;
}

export interface GatewayTarget extends EndpointRef {
  /** What follows the endpoint's name in the URL, still encoded, with the query: the replica's own path. */
  readonly rest: string;
}

export type Gateway = (req: IncomingMessage, res: ServerResponse, target: GatewayTarget) => Promise<void>;

/** Request bodies up to this many bytes are kept, so that they can be sent to another replica. */
const REPLAYABLE_BYTES = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 60_000;

const ADDRESS = /^\/endpoints\/([^/?]+)\/([^/?]+)\/([^#]*)$/;

/** The endpoint and the replica's path in `/endpoints/<workspace>/<name>/…`; undefined for other URLs. */
export function parseEndpointUrl(url: string): GatewayTarget | undefined {
  const [, workspace, endpoint, rest] = ADDRESS.exec(url) ?? [];
  if (workspace === undefined || endpoint === undefined || rest === undefined) return undefined;
  try {
    return { workspace: decodeURIComponent(workspace), endpoint: decodeURIComponent(endpoint), rest };
  } catch {
    return undefined;
  }
}

/**
 * Sends requests on to the endpoint's revisions by weight. A replica that fails before its answer began costs nothing:
 * the request goes to another one (inference changes nothing, so sending it twice is safe; a body above 1 MiB is not
 * kept and gets 502). Cairn's credentials stay here: the replica sees neither `authorization` nor cookies.
 * The model's name in `v2/models/<name>` is the one that the version was deployed under.
 */
export function createGateway(options: GatewayOptions): Gateway {
  return async (req, res, target) => {
    const began = performance.now();
    const requestId = header(req.headers, 'x-request-id') ?? randomUUID();
    try {
      await options.authorise(req, target);
      if (!isServed(target.rest)) {
        throw new CairnError(
          'NOT_FOUND',
          `An endpoint has no /${target.rest}; it has v2/…, invocations and ping.`,
        );
      }
      await forward(options, { req, res, target, requestId, began });
    } catch (error) {
      if (res.headersSent || res.destroyed) res.destroy();
      else answerProblem(options, res, error, requestId);
      if (!(error instanceof CairnError) && !(error instanceof ClientGone)) options.onError(error, requestId);
    }
  };
}

/** Paths of the model server that clients may call. */
const isServed = (rest: string) =>
  /^(v2(\/|\?|$)|invocations(\?|$)|ping(\?|$))/.test(rest) && !/(^|\/)\.\.?(\/|\?|$)/.test(rest);

class ClientGone extends Error {}

interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly target: GatewayTarget;
  readonly requestId: string;
  readonly began: number;
}

async function forward(options: GatewayOptions, exchange: Exchange): Promise<void> {
  const { req, target } = exchange;
  const body = await readStart(req);
  const tried = new Set<Upstream>();
  let failure: Error | undefined;
  for (;;) {
    const revisions = options.routes(target);
    const choice = pick(revisions, Math.random(), tried);
    if (!choice) {
      if (revisions.length === 0) await options.requireEndpoint?.(target);
      const accountable = pickWeighted(revisions);
      if (accountable) record(options, exchange, accountable.revision, failure ? 502 : 503);
      if (failure)
        throw new CairnError('REPLICA_FAILED', `The replica failed before it answered: ${failure.message}.`);
      throw new CairnError('ENDPOINT_NOT_READY', `No replica of "${target.endpoint}" is ready.`);
    }
    const { upstream, revision } = choice;
    upstream.acquire();
    try {
      await exchangeWith(options, exchange, { upstream, revision, body });
      return;
    } catch (error) {
      if (!(error instanceof ReplicaFailure)) throw error;
      failure = error;
      if (!body.whole) {
        record(options, exchange, revision.revision, 502);
        throw new CairnError('REPLICA_FAILED', `The replica failed before it answered: ${error.message}.`);
      }
      if (!error.staleConnection) tried.add(upstream);
    } finally {
      upstream.release();
    }
  }
}

/** The replica failed before a byte of its answer came. */
class ReplicaFailure extends Error {
  /** The connection was an old one that the replica had closed: the replica itself may be well. */
  readonly staleConnection: boolean;
  constructor(message: string, staleConnection: boolean) {
    super(message);
    this.staleConnection = staleConnection;
  }
}

interface Body {
  readonly start: Buffer | undefined;
  /** Whether `start` is all of it. */
  readonly whole: boolean;
}

/** Reads the body, or its first MiB and a bit. @throws ClientGone */
function readStart(req: IncomingMessage): Promise<Body> {
  if (req.destroyed && !req.complete) return Promise.reject(new ClientGone());
  if (req.headers['content-length'] === undefined && req.headers['transfer-encoding'] === undefined) {
    return Promise.resolve({ start: undefined, whole: true });
  }
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (whole: boolean) => {
      req.off('data', onData).off('end', onEnd).off('close', onClose);
      resolve({ start: chunks.length === 1 ? chunks[0] : Buffer.concat(chunks), whole });
    };
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size <= REPLAYABLE_BYTES) return;
      req.pause();
      settle(false);
    };
    const onEnd = () => settle(true);
    const onClose = () => reject(new ClientGone());
    req.on('data', onData).on('end', onEnd).on('close', onClose);
  });
}

interface Attempt {
  readonly upstream: Upstream;
  readonly revision: RoutedRevision;
  readonly body: Body;
}

/** One request to one replica, up to the last byte of the answer. @throws ReplicaFailure, ClientGone */
function exchangeWith(options: GatewayOptions, exchange: Exchange, attempt: Attempt): Promise<void> {
  const { req, res, target, requestId } = exchange;
  const { upstream, revision, body } = attempt;
  if (res.destroyed) return Promise.reject(new ClientGone());
  return new Promise((resolve, reject) => {
    const outgoing = request({
      host: upstream.host,
      port: upstream.port,
      // A body that cannot be sent twice never travels on an old connection, which may be closing.
      agent: body.whole ? upstream.agent : false,
      method: req.method,
      path: `/${target.rest}`,
      headers: requestHeaders(req, requestId, body),
    });
    const timer = setTimeout(
      () => outgoing.destroy(new Error('it took too long to answer')),
      options.timeout ?? DEFAULT_TIMEOUT_MS,
    );
    let settled = false;
    const settle = (then: () => void) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      res.off('close', onClientGone);
      then();
    };
    const onClientGone = () => {
      if (res.writableFinished) return;
      settle(() => reject(new ClientGone()));
      outgoing.destroy();
    };
    res.on('close', onClientGone);
    outgoing.on('error', (error) => {
      if (!res.headersSent) settle(() => reject(new ReplicaFailure(error.message, outgoing.reusedSocket)));
    });
    outgoing.on('response', (incoming) => {
      clearTimeout(timer);
      const status = incoming.statusCode ?? 502;
      res.writeHead(status, responseHeaders(incoming.headers, requestId, revision));
      incoming.pipe(res);
      res.on('finish', () =>
        settle(() => {
          record(options, exchange, revision.revision, status, header(incoming.headers, 'server-timing'));
          resolve();
        }),
      );
      incoming.on('close', () => {
        if (incoming.complete) return;
        settle(() => {
          record(options, exchange, revision.revision, 502);
          res.destroy();
          resolve();
        });
      });
    });
    if (body.whole) outgoing.end(body.start);
    else {
      outgoing.write(body.start);
      req.pipe(outgoing);
    }
  });
}

/** RFC 9110 §7.6.1, and what is between client and gateway only. */
const NOT_FORWARDED = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'host',
  'expect',
  'authorization',
  'cookie',
]);

function forwardable(headers: IncomingHttpHeaders): Record<string, string | string[]> {
  const named = headers.connection
    ?.toLowerCase()
    .split(',')
    .map((name) => name.trim());
  const kept: Record<string, string | string[]> = {};
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined && !NOT_FORWARDED.has(name) && !named?.includes(name)) kept[name] = value;
  }
  return kept;
}

function requestHeaders(req: IncomingMessage, requestId: string, body: Body) {
  const headers = forwardable(req.headers);
  headers['x-request-id'] = requestId;
  if (body.whole && body.start) headers['content-length'] = String(body.start.length);
  return headers;
}

function responseHeaders(
  incoming: IncomingHttpHeaders,
  requestId: string,
  { revision, version }: RoutedRevision,
) {
  const headers = forwardable(incoming);
  headers['x-request-id'] = requestId;
  headers['cairn-revision'] = String(revision);
  headers['cairn-version'] = String(version);
  return headers;
}

function record(
  options: GatewayOptions,
  { target: { workspace, endpoint }, began }: Exchange,
  revision: number,
  status: number,
  timing?: string,
): void {
  const modelMs = duration(timing, 'model');
  const queueMs = duration(timing, 'queue');
  options.record({
    workspace,
    endpoint,
    revision,
    status,
    latencyMs: performance.now() - began,
    ...(modelMs === undefined ? {} : { modelMs }),
    ...(queueMs === undefined ? {} : { queueMs }),
  });
}

/** A metric's duration in a Server-Timing header, milliseconds. */
function duration(timing: string | undefined, metric: string): number | undefined {
  const entry = timing?.split(',').find((part) => part.trim().startsWith(`${metric};`));
  const value = Number(/;\s*dur=([\d.]+)/.exec(entry ?? '')?.[1]);
  return Number.isFinite(value) ? value : undefined;
}

/** Which revision accounts for a request that none could take. */
function pickWeighted(revisions: readonly RoutedRevision[]): RoutedRevision | undefined {
  let left = Math.random() * revisions.reduce((sum, { weight }) => sum + weight, 0);
  return revisions.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
}

/** RFC 9457. */
function answerProblem(
  { problemOf }: GatewayOptions,
  res: ServerResponse,
  error: unknown,
  requestId: string,
): void {
  const problem = error instanceof CairnError ? error : new CairnError('INTERNAL', 'The gateway failed.');
  const { status } = ERRORS[problem.code];
  const body = JSON.stringify(problemOf(problem, requestId));
  res.writeHead(status, {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'x-request-id': requestId,
    ...(status === 401 ? { 'www-authenticate': 'Bearer realm="cairn"' } : {}),
    ...(status === 503 ? { 'retry-after': '1' } : {}),
  });
  res.end(body);
}

function header(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
