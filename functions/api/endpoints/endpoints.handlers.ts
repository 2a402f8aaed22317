import { allows } from '../../../shared/access/grant.ts';
import { CairnError } from '../../../shared/errors.ts';
import { parseAlarmName } from '../../../shared/monitoring/endpoint-alarms.ts';
import { type MetricsReport, metricsReport, type TrafficReport } from '../../../shared/monitoring/report.ts';
import type { AlarmDescription, SeriesPoint } from '../../../shared/ports/alarm-service.ts';
import type { EndpointRef } from '../../../shared/ports/serving-platform.ts';
import { getWorkspace } from '../../../shared/registry/workspace.ts';
import {
  createEndpoint,
  deleteEndpoint,
  type EndpointView,
  getEndpoint,
  listEndpoints,
  type ServingPorts,
  updateEndpoint,
} from '../../../shared/serving/endpoint.ts';
import type { WrittenSpec } from '../../../shared/serving/endpoint-spec.ts';
import { ON_PROCESSES, settle } from '../../../shared/serving/platform-offer.ts';
import { listRollouts, rollbackEndpoint } from '../../../shared/serving/rollback.ts';
import type { RolloutRecord } from '../../../shared/serving/rollout-record.ts';
import type { EndpointStatus } from '../../../shared/serving/status.ts';
import { type Answer, apiPath, created, NO_CONTENT, ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { etagOf } from '../etag.ts';
import { pageJson } from '../page.ts';
import { rfc3339 } from '../time.ts';
import * as routes from './endpoints.routes.ts';

export function registerEndpoints(register: Register, deps: ApiDeps): void {
  const { ports, alarms } = deps;
  const serving = () => deps.serving ?? notServing();
  const servingPorts = (): ServingPorts => {
    const { versions, offer } = serving();
    return { ...ports, alarms, versions, ...(offer && { offer }) };
  };
  const settled = (spec: WrittenSpec) =>
    routes.inField('spec', () => settle(spec, serving().offer ?? ON_PROCESSES));
  const base = (origin: string) => deps.publicUrl ?? origin;

  register(routes.listEndpoints, async ({ params, query }, { caller, origin }) => {
    const { workspace } = params;
    await getWorkspace(ports, workspace);
    const page = await listEndpoints(ports, caller, { workspace, limit: query.limit, after: query.cursor });
    return ok(pageJson(page, (endpoint) => endpointJson(endpoint, base(origin))));
  });

  register(routes.createEndpoint, async ({ params, body }, { caller, origin }) => {
    const ref = { workspace: params.workspace, endpoint: body.name };
    const endpoint = await createEndpoint(servingPorts(), caller, ref, settled(body.spec), body);
    const location = apiPath('workspaces', ref.workspace, 'endpoints', ref.endpoint);
    return created(endpointJson(endpoint, base(origin)), location, { etag: etagOf(endpoint.rev) });
  });

  register(routes.getEndpoint, async ({ params }, { caller, origin }) => {
    return answerEndpoint(await getEndpoint(ports, caller, params), base(origin));
  });

  register(routes.updateEndpoint, async ({ params, body, ifMatch }, { caller, origin }) => {
    const { force, reason } = body;
    const spec = settled(body.spec);
    const options = { force, reason, ifMatch: ifMatch === '*' ? undefined : ifMatch };
    return answerEndpoint(await updateEndpoint(servingPorts(), caller, params, spec, options), base(origin));
  });

  register(routes.deleteEndpoint, async ({ params, query, ifMatch }, { caller }) => {
    const options = { reason: query.reason, ifMatch: ifMatch === '*' ? undefined : ifMatch };
    await deleteEndpoint(ports, caller, params, options);
    return NO_CONTENT;
  });

  register(routes.rollbackEndpoint, async ({ params, body }, { caller, origin }) => {
    const { from, to } = await rollbackEndpoint(ports, caller, params, body.reason);
    const endpoint = await getEndpoint(ports, caller, params);
    return ok({ from, to, endpoint: endpointJson(endpoint, base(origin)) });
  });

  register(routes.listRollouts, async ({ params, query }, { caller }) => {
    const page = await listRollouts(ports, caller, params, { limit: query.limit, after: query.cursor });
    return ok(pageJson(page, rolloutJson));
  });

  register(routes.getEndpointMetrics, async ({ params, query }, { caller }) => {
    const { status } = await getEndpoint(ports, caller, params);
    const revisions = [status.current, status.previous, status.candidate].flatMap(
      (one) => one?.revision ?? [],
    );
    const window = reportWindow(ports.clock.now(), query.minutes);
    return ok(metricsJson(await metricsReport(alarms, params, [...new Set(revisions)], window)));
  });

  register(routes.getEndpointLogs, async ({ params, query }, { caller }) => {
    await getEndpoint(ports, caller, params);
    const { limit, revision } = query;
    const lines = await serving().platform.logs(
      refOf(params),
      revision === undefined ? { limit } : { limit, revision },
    );
    return ok({ items: lines.map((line) => ({ ...line, at: rfc3339(line.at) })) });
  });

  register(routes.listAlarms, async ({ params }, { caller }) => {
    const { workspace } = params;
    await getWorkspace(ports, workspace);
    const found = await alarms.describeAlarms(`cairn/${workspace}/`);
    const visible = found.filter(({ name }) =>
      allows(caller, 'viewer', { workspace, name: parseAlarmName(name)?.endpoint ?? '' }),
    );
    return ok({ items: visible.map(alarmJson) });
  });
}

function notServing(): never {
  throw new CairnError('NOT_SUPPORTED', 'This installation serves no endpoints.');
}

const refOf = ({ workspace, endpoint }: EndpointRef): EndpointRef => ({ workspace, endpoint });

/** Whole periods, of at least a minute and at most some 200 of them. */
function reportWindow(now: number, minutes: number): { from: number; to: number; period: number } {
  const period = 60 * Math.max(1, Math.ceil(minutes / 200));
  const to = Math.ceil(now / (period * 1000)) * period * 1000;
  return { from: to - Math.ceil((minutes * 60) / period) * period * 1000, to, period };
}

const answerEndpoint = (endpoint: EndpointView, base: string): Answer =>
  ok(endpointJson(endpoint, base), { etag: etagOf(endpoint.rev) });

const endpointJson = (endpoint: EndpointView, base: string) => ({
  workspace: endpoint.workspace,
  name: endpoint.name,
  generation: endpoint.generation,
  spec: endpoint.spec,
  status: statusJson(endpoint.status),
  url: `${base}/endpoints/${endpoint.workspace}/${endpoint.name}`,
  createdAt: rfc3339(endpoint.createdAt),
  createdBy: endpoint.createdBy,
  updatedAt: rfc3339(endpoint.updatedAt),
  updatedBy: endpoint.updatedBy,
});

const statusJson = ({ phaseSince, lastRollback, lastFailure, conditions, ...status }: EndpointStatus) => ({
  ...status,
  phaseSince: phaseSince === undefined ? undefined : rfc3339(phaseSince),
  lastRollback: lastRollback && { ...lastRollback, at: rfc3339(lastRollback.at) },
  lastFailure: lastFailure && { ...lastFailure, at: rfc3339(lastFailure.at) },
  conditions: conditions.map((condition) => ({
    ...condition,
    lastTransitionTime: rfc3339(condition.lastTransitionTime),
  })),
});

const rolloutJson = ({ format: _, startedAt, endedAt, ...rollout }: RolloutRecord) => ({
  ...rollout,
  startedAt: rfc3339(startedAt),
  endedAt: endedAt === undefined ? undefined : rfc3339(endedAt),
});

const metricsJson = ({ period, from, to, revisions, ...whole }: MetricsReport) => ({
  period,
  from: rfc3339(from),
  to: rfc3339(to),
  ...trafficJson(whole),
  revisions: revisions.map(({ revision, ...traffic }) => ({ revision, ...trafficJson(traffic) })),
});

const trafficJson = (traffic: TrafficReport) => ({
  requests: seriesJson(traffic.requests),
  errors4xx: seriesJson(traffic.errors4xx),
  errors5xx: seriesJson(traffic.errors5xx),
  latency: percentilesJson(traffic.latency),
  modelLatency: percentilesJson(traffic.modelLatency),
  queueTime: percentilesJson(traffic.queueTime),
});

const percentilesJson = ({ p50, p90, p99 }: TrafficReport['latency']) => ({
  p50: seriesJson(p50),
  p90: seriesJson(p90),
  p99: seriesJson(p99),
});

const seriesJson = (points: readonly SeriesPoint[]) =>
  points.map(({ at, value }) => ({ at: rfc3339(at), value }));

const alarmJson = ({ stateUpdatedAt, ...alarm }: AlarmDescription) => ({
  ...alarm,
  stateUpdatedAt: rfc3339(stateUpdatedAt),
});
