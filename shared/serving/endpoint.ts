import { isDeepStrictEqual } from 'node:util';
import type { Caller } from '../access/caller.ts';
import { allows, authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { alarmPrefix } from '../monitoring/endpoint-alarms.ts';
import type { AlarmService } from '../ports/alarm-service.ts';
import type { Ports } from '../ports/ports.ts';
import type { EndpointRef } from '../ports/serving-platform.ts';
import type { Item, Op, Table } from '../ports/table.ts';
import { type EndpointSpec, parseEndpointSpec } from './endpoint-spec.ts';
import { firingOf } from './firing.ts';
import {
  endpointChain,
  endpointEntryKey,
  endpointKey,
  endpointsPartition,
  followerKey,
  numbersKey,
  statusKey,
  useKey,
} from './keys.ts';
import type { PlatformOffer } from './platform-offer.ts';
import { blockingAlarm, initialState, neededRevisions, sameTemplate } from './rollout.ts';
import { type EndpointStatus, type StatusRecord, viewStatus } from './status.ts';
import { resolveTarget, type Target, type VersionSource } from './version-source.ts';

/** The stable address that clients call, as its users want it; what is so says its status. */
export interface Endpoint {
  readonly format: 1;
  readonly workspace: string;
  readonly name: string;
  readonly modelId: string;
  readonly spec: EndpointSpec;
  /** One more with each change of the spec. */
  readonly generation: number;
  /** The generation that is rolled out although an alarm is on. */
  readonly forced?: number;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly updatedAt: number;
  readonly updatedBy: string;
}

/** An endpoint with its status; `rev` is the spec's revision, which the ETag is made of. */
export type EndpointView = Endpoint & { readonly rev: number; readonly status: EndpointStatus };

export type ServingPorts = Pick<Ports, 'table' | 'clock' | 'bus'> & {
  readonly alarms: Pick<AlarmService, 'describeAlarms'>;
  readonly versions: VersionSource;
  /** What the installation's platform takes; processes, unless said otherwise. */
  readonly offer?: PlatformOffer;
};

export interface DeployOptions {
  /** Roll out although an alarm is on; needs a reason. */
  readonly force?: boolean | undefined;
  readonly reason?: string | undefined;
}

const NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * Makes the endpoint; the controller then rolls its first revision out.
 * @throws CairnError `INVALID_ARGUMENT`, `NOT_SUPPORTED`, `ENDPOINT_EXISTS`, and what {@link resolveTarget} refuses
 */
export async function createEndpoint(
  ports: ServingPorts,
  caller: Caller,
  ref: EndpointRef,
  spec: unknown,
  options: DeployOptions = {},
): Promise<EndpointView> {
  if (!NAME.test(ref.endpoint)) {
    const rule = 'has 1 to 63 characters of a-z, 0-9 and -, and begins and ends with a letter or digit';
    throw new CairnError('INVALID_ARGUMENT', `An endpoint's name ${rule}.`, 'name');
  }
  const { namesMax = Number.POSITIVE_INFINITY } = ports.offer ?? {};
  if (ref.workspace.length + ref.endpoint.length > namesMax) {
    const rule = `at most ${namesMax} characters together on this platform, whose addresses have no room for more`;
    throw new CairnError(
      'INVALID_ARGUMENT',
      `The names of an endpoint and its workspace have ${rule}.`,
      'name',
    );
  }
  const parsed = admit(ports, caller, ref, spec, options);
  return exclusively(endpointChain(ref), async () => {
    const target = await targetOf(ports, ref, parsed);
    const [found, numbers] = await ports.table.getMany([endpointKey(ref), numbersKey(ref)]);
    if (found)
      throw new CairnError('ENDPOINT_EXISTS', `There is an endpoint "${ref.endpoint}" already.`, 'name');
    const now = ports.clock.now();
    const by = caller.principal;
    const endpoint: Endpoint = {
      format: 1,
      workspace: ref.workspace,
      name: ref.endpoint,
      modelId: target.modelId,
      spec: parsed,
      generation: 1,
      createdAt: now,
      createdBy: by,
      updatedAt: now,
      updatedBy: by,
    };
    const last = (numbers?.body as Numbers | undefined) ?? { lastRevision: 0, lastRollout: 0 };
    const status: StatusRecord = {
      format: 1,
      observedGeneration: 0,
      state: initialState(last),
      replicas: [],
      conditions: [],
    };
    await commit(
      ports,
      caller,
      { ...changeOf(ref, 'endpoint.created'), reason: options.reason, after: endpoint },
      [
        { put: { ...endpointKey(ref), body: endpoint }, if: 'absent' },
        { put: { ...statusKey(ref), body: status }, if: 'absent' },
        { put: { ...endpointEntryKey(ref), body: {} }, if: 'absent' },
        ...(await putFollower(ports.table, target.modelId, ref)),
        ...target.hold,
        ...(target.check ? [target.check] : []),
      ],
    );
    return viewOf(endpoint, 1, status);
  });
}

/**
 * Replaces the whole spec. The same spec again changes nothing, unless its version was given up: then it is tried again.
 * @throws CairnError `ENDPOINT_NOT_FOUND`, `PRECONDITION_FAILED`, `ALARM_ACTIVE` if another version would be rolled out
 * while an alarm is on, and what {@link createEndpoint} throws
 */
export async function updateEndpoint(
  ports: ServingPorts,
  caller: Caller,
  ref: EndpointRef,
  spec: unknown,
  options: DeployOptions & { ifMatch?: number | undefined } = {},
): Promise<EndpointView> {
  const parsed = admit(ports, caller, ref, spec, options);
  return exclusively(endpointChain(ref), async () => {
    const target = await targetOf(ports, ref, parsed);
    const { endpoint: before, rev, status } = await findEndpoint(ports.table, ref);
    if (options.ifMatch !== undefined && options.ifMatch !== rev) {
      throw new CairnError(
        'PRECONDITION_FAILED',
        `"${ref.endpoint}" has changed since it was read.`,
        'If-Match',
      );
    }
    const same = isDeepStrictEqual(parsed, before.spec) && target.modelId === before.modelId;
    if (same && !options.force && status.state.rejected?.generation !== before.generation) {
      return viewOf(before, rev, status);
    }
    if (!options.force) await refuseWhileAlarmed(ports, ref, status, target, parsed);
    const generation = before.generation + 1;
    const { forced: _, ...rest } = before;
    const after: Endpoint = {
      ...rest,
      modelId: target.modelId,
      spec: parsed,
      generation,
      ...(options.force ? { forced: generation } : {}),
      updatedAt: ports.clock.now(),
      updatedBy: caller.principal,
    };
    const moved = before.modelId !== after.modelId;
    await commit(
      ports,
      caller,
      {
        ...changeOf(ref, options.force ? 'endpoint.updated-by-force' : 'endpoint.updated'),
        reason: options.reason,
        before: { generation: before.generation, spec: before.spec },
        after: { generation, spec: parsed },
      },
      [
        { put: { ...endpointKey(ref), body: after }, if: { rev } },
        ...(moved
          ? [
              { delete: followerKey(before.modelId, ref), if: 'any' as const },
              ...(await putFollower(ports.table, after.modelId, ref)),
              ...target.hold,
            ]
          : []),
        ...(target.check ? [target.check] : []),
      ],
    );
    return viewOf(after, rev + 1, status);
  });
}

/** @throws CairnError `ENDPOINT_NOT_FOUND` */
export async function getEndpoint(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  ref: EndpointRef,
): Promise<EndpointView> {
  authorize(caller, 'viewer', { workspace: ref.workspace, name: ref.endpoint });
  const { endpoint, rev, status } = await findEndpoint(ports.table, ref);
  return viewOf(endpoint, rev, status);
}

/** A page of the workspace's endpoints by name, those that the caller may see. `limit` is at most 50. */
export async function listEndpoints(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  page: { workspace: string; after?: string | undefined; limit: number },
): Promise<{ items: EndpointView[]; next?: string }> {
  const { workspace, after } = page;
  const found = await ports.table.query({
    pk: endpointsPartition(workspace),
    limit: Math.min(page.limit, 50),
    ...(after === undefined ? {} : { after }),
  });
  const refs = found.items
    .map(({ sk }) => ({ workspace, endpoint: sk }))
    .filter(({ endpoint }) => allows(caller, 'viewer', { workspace, name: endpoint }));
  const records = await ports.table.getMany(refs.flatMap((ref) => [endpointKey(ref), statusKey(ref)]));
  const items = refs.flatMap((_, index) => {
    const [endpoint, status] = records.slice(2 * index, 2 * index + 2);
    return endpoint && status
      ? [viewOf(endpoint.body as Endpoint, endpoint.rev, status.body as StatusRecord)]
      : [];
  });
  const last = found.items.at(-1);
  return found.more && last ? { items, next: last.sk } : { items };
}

/**
 * Withdraws the endpoint: the controller stops what runs for it. Its rollouts and audit trail stay.
 * @throws CairnError `ENDPOINT_NOT_FOUND`, `PRECONDITION_FAILED`
 */
export async function deleteEndpoint(
  ports: Pick<Ports, 'table' | 'clock' | 'bus'>,
  caller: Caller,
  ref: EndpointRef,
  options: { ifMatch?: number | undefined; reason?: string | undefined } = {},
): Promise<void> {
  authorize(caller, 'deployer', { workspace: ref.workspace, name: ref.endpoint });
  await exclusively(endpointChain(ref), async () => {
    const { endpoint, rev, status, statusRev } = await findEndpoint(ports.table, ref);
    if (options.ifMatch !== undefined && options.ifMatch !== rev) {
      throw new CairnError(
        'PRECONDITION_FAILED',
        `"${ref.endpoint}" has changed since it was read.`,
        'If-Match',
      );
    }
    const { lastRevision, lastRollout } = status.state;
    const numbers: Numbers = { lastRevision, lastRollout };
    const before = await ports.table.get(numbersKey(ref));
    await commit(
      ports,
      caller,
      { ...changeOf(ref, 'endpoint.deleted'), reason: options.reason, before: endpoint },
      [
        { delete: endpointKey(ref), if: { rev } },
        { delete: statusKey(ref), if: { rev: statusRev } },
        { put: { ...numbersKey(ref), body: numbers }, if: before ? { rev: before.rev } : 'absent' },
        { delete: endpointEntryKey(ref), if: 'any' },
        { delete: followerKey(endpoint.modelId, ref), if: 'any' },
        ...neededRevisions(status.state).map(
          ({ revision, template }): Op => ({
            delete: useKey(template.modelId, template.version, ref, revision),
            if: 'any',
          }),
        ),
      ],
    );
  });
}

export interface FoundEndpoint {
  readonly endpoint: Endpoint;
  readonly rev: number;
  readonly status: StatusRecord;
  readonly statusRev: number;
}

/** The endpoint and its status, for domain code that has authorised its caller. @throws CairnError `ENDPOINT_NOT_FOUND` */
export async function findEndpoint(table: Table, ref: EndpointRef): Promise<FoundEndpoint> {
  const [endpoint, status] = (await table.getMany([endpointKey(ref), statusKey(ref)])) as [
    Item<Endpoint> | undefined,
    Item<StatusRecord> | undefined,
  ];
  if (!endpoint || !status) {
    const where = `workspace "${ref.workspace}"`;
    throw new CairnError(
      'ENDPOINT_NOT_FOUND',
      `There is no endpoint "${ref.endpoint}" in ${where}.`,
      'endpoint',
    );
  }
  return { endpoint: endpoint.body, rev: endpoint.rev, status: status.body, statusRev: status.rev };
}

/** The audit event's head for a change of the endpoint. */
export const changeOf = (ref: EndpointRef, action: string) => ({
  chain: endpointChain(ref),
  workspace: ref.workspace,
  action,
  subject: ref.endpoint,
});

interface Numbers {
  readonly lastRevision: number;
  readonly lastRollout: number;
}

/** The spec, if the caller may ask for it. */
function admit(
  ports: ServingPorts,
  caller: Caller,
  ref: EndpointRef,
  spec: unknown,
  options: DeployOptions,
): EndpointSpec {
  authorize(caller, 'deployer', { workspace: ref.workspace, name: ref.endpoint });
  if (options.force && !options.reason?.trim()) {
    throw new CairnError(
      'INVALID_ARGUMENT',
      'force needs a reason, which is kept in the audit trail.',
      'reason',
    );
  }
  const parsed = parseEndpointSpec(spec, ports.offer);
  authorize(caller, 'viewer', { workspace: ref.workspace, name: parsed.model });
  return parsed;
}

async function targetOf(
  { versions }: ServingPorts,
  ref: EndpointRef,
  spec: EndpointSpec,
): Promise<Target & { hold: Op[] }> {
  const { hold, ...model } = await versions.findModel(ref.workspace, spec.model);
  return { ...(await resolveTarget(versions, ref.workspace, model, spec)), hold: hold ? [hold] : [] };
}

async function refuseWhileAlarmed(
  ports: ServingPorts,
  ref: EndpointRef,
  { state }: StatusRecord,
  target: Target,
  { resources }: EndpointSpec,
): Promise<void> {
  if (state.current && sameTemplate(state.current.template, { ...target, resources })) return;
  const firing = firingOf(await ports.alarms.describeAlarms(alarmPrefix(ref.workspace, ref.endpoint)));
  const alarm = blockingAlarm(state, firing);
  if (alarm) throw new CairnError('ALARM_ACTIVE', `${alarm.name} is in ALARM: ${alarm.reason}`, 'target');
}

async function putFollower(table: Table, modelId: string, ref: EndpointRef): Promise<Op[]> {
  const key = followerKey(modelId, ref);
  return (await table.get(key)) ? [] : [{ put: { ...key, body: {} }, if: 'absent' }];
}

const viewOf = (endpoint: Endpoint, rev: number, status: StatusRecord): EndpointView => ({
  ...endpoint,
  rev,
  status: viewStatus(status),
});
