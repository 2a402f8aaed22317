import {
  Agent,
  createServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { InferenceSample } from '../model-server/emf.ts';
import type { Log } from '../model-server/log.ts';
import type { Metrics } from '../model-server/metrics.ts';

export interface FrontOptions {
  /** Where the Python process listens on this machine. */
  readonly port: number;
  /** What paths may begin with; `` when with nothing. */
  readonly basePath: string;
  /** Headers of every answer. */
  readonly headers: Readonly<Record<string, string>>;
  readonly metrics: Metrics;
  readonly log: Log;
  /** Gets each inference request that was answered. */
  readonly record?: ((sample: InferenceSample) => void) | undefined;
  readonly draining: () => boolean;
}

/** Longer than gateways keep idle connections, so that they, not this server, close them. */
const KEEP_ALIVE_MS = 120_000;
/** Of one connection alone: RFC 9110, section 7.6.1. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
]);
/** Of the caller; the model's code is to see none of it. */
const CREDENTIALS = new Set(['authorization', 'cookie', 'host']);

/**
 * Stands in front of the Python process: the endpoint's address, answers that tell their revision, metrics. What is no path of
 * the protocols is not passed on.
 */
export function createFront(options: FrontOptions): Server {
  const agent = new Agent({ keepAlive: true });
  return createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, (req, res) => {
    void answer(req, res, agent, options);
  });
}

async function answer(
  req: IncomingMessage,
  res: ServerResponse,
  agent: Agent,
  options: FrontOptions,
): Promise<void> {
  const { metrics, log, record, draining } = options;
  const start = performance.now();
  const url = ownPath(req.url ?? '/', options.basePath);
  const path = url.replace(/\?.*$/s, '');
  const requestId = req.headers['x-request-id'];
  for (const [name, value] of Object.entries(options.headers)) res.setHeader(name, value);
  if (typeof requestId === 'string') res.setHeader('x-request-id', requestId);
  if (draining()) res.setHeader('connection', 'close');
  if (path === '/metrics') {
    res.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    res.end(metrics.text(0));
    return;
  }
  if (!/^\/(v2(\/|$)|invocations$|ping$)/.test(path)) return refuse(res, 404, `there is no ${path} here`);
  const inference = path.endsWith('/infer') || path === '/invocations';
  try {
    const upstream = await send(req, res, url, agent, options.port);
    for (const [name, value] of Object.entries(upstream.headers)) {
      if (value !== undefined && !HOP_BY_HOP.has(name)) res.setHeader(name, value);
    }
    res.writeHead(upstream.statusCode ?? 502);
    await pipeline(upstream, res);
  } catch (error) {
    // The caller has gone: nobody was answered.
    if (res.closed) return;
    if (res.headersSent) res.destroy();
    else {
      log('error', `the Python process did not answer: ${(error as Error).message}`, { url });
      refuse(res, 502, 'the model’s process did not answer');
    }
  }
  if (!inference) return;
  const latency = performance.now() - start;
  metrics.request(res.statusCode);
  metrics.ran(latency);
  record?.({ status: res.statusCode, latency, model: latency });
}

/** The request, sent on until its caller goes; resolves when the answer begins. */
function send(
  req: IncomingMessage,
  res: ServerResponse,
  path: string,
  agent: Agent,
  port: number,
): Promise<IncomingMessage> {
  const headers = Object.fromEntries(
    Object.entries(req.headers).filter(([name]) => !HOP_BY_HOP.has(name) && !CREDENTIALS.has(name)),
  );
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, agent, method: req.method, path, headers }, resolve);
    outgoing.on('error', reject);
    res.once('close', () => {
      if (!res.writableFinished) outgoing.destroy();
    });
    pipeline(req, outgoing).catch(reject);
  });
}

function refuse(res: ServerResponse, status: number, error: string): void {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify({ error }));
}

const ownPath = (url: string, base: string) =>
  base !== '' && url.startsWith(`${base}/`) ? url.slice(base.length) : url;
