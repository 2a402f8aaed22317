import type { IncomingMessage } from 'node:http';
import type { Context } from 'hono';
import { uuidv7 } from 'uuidv7';
import type { Caller } from '../../../shared/access/caller.ts';
import { presentedToken } from '../../../shared/access/presented-token.ts';
import { authenticate } from '../../../shared/access/token.ts';
import { CairnError } from '../../../shared/errors.ts';
import { WorkspaceName } from '../../../shared/registry/name.ts';
import { DEFAULT_WORKSPACE } from '../../../shared/registry/workspace.ts';
import type { ApiDeps } from '../deps.ts';
import { parseJson, readBody } from '../request-body.ts';
import { pathOf } from '../request-path.ts';
import { answerMemory } from './answer-memory.ts';
import { artifactRoutes } from './artifacts.ts';
import { mlflowError } from './error.ts';
import { experimentRoutes } from './experiments.ts';
import { loggedModelRoutes } from './logged-models.ts';
import { modelVersionRoutes } from './model-versions.ts';
import { registeredModelRoutes } from './registered-models.ts';
import type { Call, Route } from './route.ts';
import { runRoutes } from './runs.ts';
import { serverRoutes } from './server.ts';
import { traceRoutes } from './traces.ts';
import { webhookRoutes } from './webhooks.ts';

/** MLflow answers at both of them and at each of its versions of the API. */
const BELOW = /^\/(?:ajax-)?api\/\d+\.\d+\/(mlflow|mlflow-artifacts)\/(.*)$/;

/** Protocol calls are small: log-batch takes 1 MB, and a search's filter little. */
const BODY_LIMIT = 6_000_000;

const SANE_ID = /^[\w.:-]{8,128}$/;

/**
 * MLflow's REST API (mlflow.org/docs/latest/api_reference/rest-api.html), for its unmodified clients: registry, tracking,
 * logged models and artifacts on the same domain as the native API. What it has not answers ENDPOINT_NOT_FOUND.
 */
export function mlflowDoor(deps: ApiDeps): (c: Context) => Promise<Response> {
  const find = router([
    ...serverRoutes,
    ...registeredModelRoutes,
    ...modelVersionRoutes,
    ...experimentRoutes,
    ...runRoutes,
    ...loggedModelRoutes,
    ...artifactRoutes,
    ...traceRoutes,
    ...webhookRoutes(deps.webhooks),
  ]);
  const memory = deps.revision && answerMemory(deps.ports.clock, deps.revision);
  return async (c) => {
    const { raw } = c.req;
    const sent = raw.headers.get('x-request-id');
    const requestId = sent !== null && SANE_ID.test(sent) ? sent : uuidv7();
    const start = performance.now();
    let response: Response;
    let principal: string | undefined;
    let name = '(none)';
    try {
      const { incoming } = (c.env ?? {}) as { incoming?: IncomingMessage };
      const found = find(raw.method, pathOf(incoming?.url ?? raw.url));
      name = found.path;
      const remembered = raw.method === 'GET' ? memoryName(raw) : undefined;
      const known = remembered === undefined ? undefined : memory?.find(remembered);
      if (known === undefined) {
        const keep = remembered === undefined ? undefined : memory?.begin(remembered);
        const identity = await identify(deps, found.route, raw, requestId);
        principal = identity.principal;
        const call: Call = {
          ports: deps.ports,
          verifyLater: deps.verifyLater,
          caller: { ...identity, call: `mlflow ${raw.method} ${found.path}` },
          workspace: workspaceOf(raw.headers.get('x-mlflow-workspace')),
          origin: deps.publicUrl ?? raw.url.slice(0, raw.url.indexOf('/', 8)),
          request: raw,
          incoming,
        };
        const input = parse(found.route, { ...(await inputOf(found.route, raw)), ...found.params });
        const answer = await found.route.answer(input, call);
        const text = answer instanceof Response ? undefined : JSON.stringify(answer);
        if (text !== undefined) keep?.(text);
        response = text === undefined ? (answer as Response) : textResponse(text, requestId);
      } else {
        response = textResponse(known, requestId);
      }
    } catch (error) {
      response = mlflowError(error, requestId, deps.logger);
    }
    if (deps.logger.isLevelEnabled('info')) {
      const ms = Math.round((performance.now() - start) * 100) / 100;
      deps.logger.info(
        { method: raw.method, route: `mlflow/${name}`, status: response.status, ms, requestId, principal },
        'request',
      );
    }
    return response;
  };
}

/** Who asks. What is open is answered to anybody. */
async function identify(
  { ports, issuer }: ApiDeps,
  route: Route,
  { headers }: Request,
  requestId: string,
): Promise<Caller> {
  const authorization = headers.get('authorization');
  if (route.open && authorization === null) return { principal: 'anonymous', grants: [], requestId };
  return authenticate(ports, presentedToken(authorization), requestId, issuer);
}

const textResponse = (text: string, requestId: string) =>
  new Response(text, { headers: { 'content-type': 'application/json', 'x-request-id': requestId } });

/** What an answer depends on besides the table: who asks, in which workspace, at which host, and what. */
function memoryName({ headers, url }: Request): string | undefined {
  const authorization = headers.get('authorization');
  if (authorization === null) return undefined;
  return `${authorization} ${headers.get('x-mlflow-workspace') ?? ''} ${url}`;
}

async function inputOf(route: Route, request: Request): Promise<Record<string, unknown>> {
  if (route.bytes) return queryOf(request.url);
  if (route.method === 'GET') return queryOf(request.url);
  const text = await readBody(request, BODY_LIMIT);
  if (text === undefined) return queryOf(request.url);
  const body = parseJson(text);
  if (typeof body === 'object' && body !== null && !Array.isArray(body))
    return body as Record<string, unknown>;
  throw new CairnError('INVALID_ARGUMENT', 'The body must be a JSON object.', 'body');
}

function queryOf(url: string): Record<string, unknown> {
  if (!url.includes('?')) return {};
  const { searchParams } = new URL(url);
  return Object.fromEntries(
    [...new Set(searchParams.keys())].map((name) => {
      const values = searchParams.getAll(name);
      return [name, values.length === 1 ? values[0] : values];
    }),
  );
}

function parse(route: Route, input: Record<string, unknown>): unknown {
  const parsed = route.input.safeParse(input);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const field = issue?.path.map(String).join('.') ?? '';
  const missing = issue?.code === 'invalid_type' && valueAt(input, issue.path) === undefined;
  throw new CairnError(
    'INVALID_ARGUMENT',
    missing
      ? `Missing value for required parameter '${field}'.`
      : `Invalid value for parameter '${field}': ${issue?.message ?? 'it is invalid'}.`,
    field,
  );
}

const valueAt = (input: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], input);

/** @throws CairnError `INVALID_ARGUMENT` */
function workspaceOf(header: string | null): string {
  if (header === null || header === '') return DEFAULT_WORKSPACE;
  const parsed = WorkspaceName.safeParse(header);
  if (parsed.success) return parsed.data;
  throw new CairnError('INVALID_ARGUMENT', `X-MLFLOW-WORKSPACE ${parsed.error.issues[0]?.message}.`);
}

interface Found {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
  readonly path: string;
}

/** Routes by their exact path first, then those with parameters, in order. */
function router(routes: readonly Route[]): (method: string, path: string) => Found {
  const exact = new Map<string, Route>();
  const patterns: { route: Route; parts: readonly string[] }[] = [];
  for (const route of routes) {
    if (/[:*]/.test(route.path)) patterns.push({ route, parts: route.path.split('/') });
    else exact.set(`${route.method} ${route.path}`, route);
  }
  return (sentMethod, sentPath) => {
    const method = sentMethod === 'HEAD' ? 'GET' : sentMethod;
    const [, service, rest = ''] = BELOW.exec(sentPath) ?? [];
    const path = service === 'mlflow-artifacts' ? `mlflow-artifacts/${rest}` : rest;
    const route = exact.get(`${method} ${path}`);
    if (route) return { route, params: {}, path };
    const parts = path.split('/');
    for (const { route, parts: pattern } of patterns) {
      const params = route.method === method ? match(pattern, parts) : undefined;
      if (params) return { route, params, path: route.path };
    }
    throw new CairnError(
      'NOT_FOUND',
      `Cairn does not have ${sentMethod} ${sentPath} of MLflow's API. docs/mlflow.md lists what it has.`,
    );
  };
}

function match(pattern: readonly string[], parts: readonly string[]): Record<string, string> | undefined {
  const rest = pattern.at(-1)?.startsWith('*') === true;
  if (rest ? parts.length < pattern.length : parts.length !== pattern.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    if (part.startsWith('*')) params[part.slice(1)] = decoded(parts.slice(index).join('/'));
    else if (part.startsWith(':')) params[part.slice(1)] = decoded(parts[index] ?? '');
    else if (part !== parts[index]) return undefined;
  }
  return params;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new CairnError('INVALID_ARGUMENT', 'The path must be percent-encoded UTF-8.', 'path');
  }
}
