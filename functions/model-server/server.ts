import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { CairnError, ERRORS } from '../../shared/errors.ts';
import type { Answer, Batcher } from './batcher.ts';
import type { InferenceSample } from './emf.ts';
import { readInferRequest } from './infer-request.ts';
import { encodeInferResponse } from './infer-response.ts';
import { readInvocation } from './invocations.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { Model, Port } from './model.ts';
import type { RequestBodies } from './request-body.ts';

export interface ServerOptions {
  readonly model: Model;
  readonly batcher: Batcher;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly bodies: RequestBodies;
  /** What paths may begin with; `` when with nothing. */
  readonly basePath: string;
  /** Headers of every answer. */
  readonly headers: Readonly<Record<string, string>>;
  /** Gets each inference request that was answered. */
  readonly record?: ((sample: InferenceSample) => void) | undefined;
  /** Whether the server is going: it answers what comes, but is not ready and closes connections. */
  readonly draining: () => boolean;
}

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array;
  /** Milliseconds. */
  readonly times?: { readonly model: number; readonly queue: number };
}

/** Longer than gateways keep idle connections, so that they, not this server, close them. */
const KEEP_ALIVE_MS = 120_000;

/**
 * Open Inference Protocol v2 over HTTP (health, metadata, infer, binary tensor data), SageMaker's `/ping` and
 * `/invocations`, and Prometheus's `/metrics`. Every error is `{"error": sentence}`.
 */
export function createModelServer(options: ServerOptions): Server {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true }, (request, response) => {
    void answer(request, response, options);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return;
    const body = JSON.stringify({ error: `the request is not valid HTTP: ${error.message}` });
    const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`;
    socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`);
  });
  return server;
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: ServerOptions,
): Promise<void> {
  const start = performance.now();
  const path = pathOf(request.url ?? '/', options.basePath);
  const inference = path.endsWith('/infer') || path === '/invocations';
  let reply: Reply;
  try {
    reply = await route(request, response, path, options);
  } catch (error) {
    if (response.closed) return;
    reply = errorReply(error, request, options.log);
  }
  if (inference) options.metrics.request(reply.status);
  send(request, response, reply, options);
  if (inference) {
    options.record?.({ status: reply.status, latency: performance.now() - start, ...reply.times });
  }
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  { draining, headers: always }: ServerOptions,
): void {
  const headers: Record<string, string | number> = { ...always, ...reply.headers };
  headers['content-length'] = Buffer.byteLength(reply.body);
  const requestId = request.headers['x-request-id'];
  if (typeof requestId === 'string') headers['x-request-id'] = requestId;
  if (draining()) headers.connection = 'close';
  response.writeHead(reply.status, headers);
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}

function errorReply(error: unknown, request: IncomingMessage, log: Log): Reply {
  const known = error instanceof CairnError ? error : new CairnError('INTERNAL', String(error));
  const { status } = ERRORS[known.code];
  const requestId = request.headers['x-request-id'];
  log(status >= 500 ? 'error' : 'info', known.detail, {
    status,
    url: request.url,
    ...(typeof requestId === 'string' ? { requestId } : {}),
    ...(error instanceof CairnError ? {} : { stack: (error as Error)?.stack }),
  });
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (status === 405) headers.allow = known.field ?? '';
  if (status === 503) headers['retry-after'] = '1';
  return { status, headers, body: JSON.stringify({ error: known.detail }) };
}

/** The protocol's own path: a load balancer may send the whole one. */
function pathOf(url: string, base: string): string {
  const query = url.indexOf('?');
  const path = query < 0 ? url : url.slice(0, query);
  return base !== '' && path.startsWith(`${base}/`) ? path.slice(base.length) : path;
}

function route(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  options: ServerOptions,
): Reply | Promise<Reply> {
  const { model, metrics, batcher } = options;
  if (path.startsWith('/v2/models/')) return modelRoute(request, response, path, options);
  switch (path) {
    case '/invocations':
      allow(request, 'POST');
      return invoke(request, response, options);
    case '/ping':
      allow(request, 'GET');
      return readiness({ status: options.draining() ? 'Stopping' : 'Healthy' }, options);
    case '/v2':
    case '/v2/':
      allow(request, 'GET');
      return json({ name: 'cairn', version: '2', extensions: ['binary_tensor_data'] });
    case '/v2/health/live':
      allow(request, 'GET');
      return json({ live: true });
    case '/v2/health/ready':
      allow(request, 'GET');
      return readiness({ ready: !options.draining() }, options);
    case '/metrics':
      allow(request, 'GET');
      return {
        status: 200,
        headers: { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' },
        body: metrics.text(batcher.waiting()),
      };
    default:
      throw new CairnError(
        'NOT_FOUND',
        `there is no ${path}; model "${model.name}" is at /v2/models/${encodeURIComponent(model.name)}`,
      );
  }
}

/** `/v2/models/{name}[/versions/{version}][/ready|/infer]` */
function modelRoute(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  options: ServerOptions,
): Reply | Promise<Reply> {
  const { model } = options;
  const parts = path.split('/');
  const versioned = parts[4] === 'versions';
  const verb = parts[versioned ? 6 : 4];
  if (parts.length > (versioned ? 7 : 5) || (versioned && parts.length < 6)) {
    throw new CairnError('NOT_FOUND', `there is no ${path}`);
  }
  const name = decode(parts[3] ?? '');
  if (name !== model.name) {
    throw new CairnError('MODEL_NOT_FOUND', `model "${name}" is not served here; "${model.name}" is`);
  }
  const version = versioned ? decode(parts[5] ?? '') : model.version;
  if (version !== model.version) {
    throw new CairnError(
      'VERSION_NOT_FOUND',
      `version "${version}" of model "${name}" is not served here; "${model.version}" is`,
    );
  }
  switch (verb) {
    case 'infer':
      allow(request, 'POST');
      return infer(request, response, options);
    case 'ready':
      allow(request, 'GET');
      return readiness({ name, ready: !options.draining() }, options);
    case undefined:
      allow(request, 'GET');
      return json(metadata(model));
    default:
      throw new CairnError('NOT_FOUND', `there is no ${path}`);
  }
}

function metadata(model: Model) {
  const ports = (of: ReadonlyMap<string, Port>) =>
    Array.from(of.values(), ({ name, datatype, shape }) => ({ name, datatype, shape: shape ?? [] }));
  return {
    name: model.name,
    versions: [model.version],
    platform: 'onnxruntime_onnx',
    inputs: ports(model.inputs),
    outputs: ports(model.outputs),
  };
}

async function infer(
  request: IncomingMessage,
  response: ServerResponse,
  options: ServerOptions,
): Promise<Reply> {
  const { model } = options;
  const headerLength = request.headers['inference-header-content-length'];
  if (headerLength === undefined) expectJson(request);
  const json = headerLength === undefined ? undefined : Number(headerLength);
  const body = await options.bodies.read(request, response, json);
  const wanted = readInferRequest(body, headerLength as string | undefined, model);
  const names = wanted.outputs.map(({ name }) => name);
  const result = await options.batcher.submit(wanted.inputs, names, () => response.closed);
  const encoded = encodeInferResponse(wanted, result.outputs, model);
  return timed(result, encoded, options.metrics);
}

async function invoke(
  request: IncomingMessage,
  response: ServerResponse,
  options: ServerOptions,
): Promise<Reply> {
  refuseEncoding(request);
  const body = await options.bodies.read(request, response);
  const wanted = readInvocation(body, mediaType(request), options.model);
  const result = await options.batcher.submit(wanted.inputs, wanted.outputs, () => response.closed);
  const encoded = { headers: { 'content-type': 'application/json' }, body: wanted.answer(result.outputs) };
  return timed(result, encoded, options.metrics);
}

/** Server-Timing (w3.org/TR/server-timing): milliseconds of the model's run and of waiting for it. */
function timed({ model, queue }: Answer, encoded: Omit<Reply, 'status'>, metrics: Metrics): Reply {
  metrics.queued(queue);
  const timing = `model;dur=${model.toFixed(3)}, queue;dur=${queue.toFixed(3)}`;
  const headers = { ...encoded.headers, 'server-timing': timing };
  return { status: 200, headers, body: encoded.body, times: { model, queue } };
}

function mediaType(request: IncomingMessage): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function expectJson(request: IncomingMessage): void {
  refuseEncoding(request);
  const type = mediaType(request);
  if (type === '' || type === 'application/json') return;
  const detail = `Content-Type is "${type}", expected application/json, or Inference-Header-Content-Length with binary data`;
  throw new CairnError('UNSUPPORTED_MEDIA_TYPE', detail);
}

function refuseEncoding(request: IncomingMessage): void {
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding === 'identity') return;
  throw new CairnError(
    'UNSUPPORTED_MEDIA_TYPE',
    `Content-Encoding is "${encoding}": send the body uncompressed`,
  );
}

function allow(request: IncomingMessage, method: 'GET' | 'POST'): void {
  if (request.method === method || (method === 'GET' && request.method === 'HEAD')) return;
  throw new CairnError('METHOD_NOT_ALLOWED', `${request.method} is not allowed here: use ${method}`, method);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new CairnError('INVALID_ARGUMENT', `"${part}" in the path is not valid percent-encoding`);
  }
}

const json = (value: unknown, status = 200): Reply => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

const readiness = (value: unknown, options: ServerOptions) => json(value, options.draining() ? 503 : 200);
