import { isDeepStrictEqual } from 'node:util';
import type { Caller } from '../access/caller.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { alarmPrefix, endpointAlarms } from '../monitoring/endpoint-alarms.ts';
import type {
  AlarmDefinition,
  AlarmDescription,
  AlarmNotification,
  AlarmService,
} from '../ports/alarm-service.ts';
import type { EndpointRef } from '../ports/serving-platform.ts';
import type { Op } from '../ports/table.ts';
import { changeOf, type Endpoint, findEndpoint } from './endpoint.ts';
import { replicaRange } from './endpoint-spec.ts';
import { type EngineDeps, engineFor } from './engine.ts';
import { firingOf, withNotification } from './firing.ts';
import { endpointChain, revisionKey, rolloutKey, statusKey, useKey } from './keys.ts';
import { candidateOf, neededRevisions, type RolloutEvent, type RolloutState, type Wish } from './rollout.ts';
import { type RolloutRecord, recordEvent } from './rollout-record.ts';
import { type Refusal, type StatusRecord, statusOf } from './status.ts';
import { resolveTarget, type Target, type VersionSource, versionOf } from './version-source.ts';

export type ReconcileDeps = EngineDeps & {
  readonly alarms: Pick<AlarmService, 'putAlarm' | 'deleteAlarms' | 'describeAlarms'>;
};

/** Far more steps than the machine takes under one observation: beyond them something is wrong with it. */
const MAX_STEPS = 32;

/**
 * Brings an endpoint closer to its spec: observes, lets the rollout machine step, writes, then acts, until nothing is
 * left to do now. It writes before it acts, so that the next call makes a crash in between good. With nothing to do it
 * writes nothing. Of an endpoint that is gone it stops what runs.
 * @returns `next`: when to call again although nothing has told to, milliseconds since the epoch
 */
export async function reconcileEndpoint(
  deps: ReconcileDeps,
  caller: Caller,
  ref: EndpointRef,
  notification?: AlarmNotification,
): Promise<{ next?: number }> {
  const engine = engineFor(deps);
  return exclusively(endpointChain(ref), async () => {
    for (let count = 0; count < MAX_STEPS; count++) {
      const found = await findEndpoint(deps.table, ref).catch(missing);
      if (!found) {
        await withdraw(deps, ref);
        return {};
      }
      const { endpoint, status, statusRev } = found;
      const alarms = await syncAlarms(deps, ref, endpoint, status.state);
      const { wish, refusal, check } = await wishOf(deps.versions, endpoint, status.state);
      const now = deps.clock.now();
      const step = await engine(ref, status.state, {
        wish,
        replicas: replicaRange(endpoint.spec),
        firing: firingOf(notification ? withNotification(alarms, notification) : alarms),
        alarms: alarms.map(({ name }) => name),
        now,
      });
      const { state, event } = step;
      const after = statusOf(state, step.seen, { before: status, refusal, now });
      for (const task of step.urgent) await task();
      await write(deps, caller, { ref, endpoint, before: status, after, statusRev, event, check, now });
      for (const task of step.tasks) await task();
      if (state === status.state) return step.next === undefined ? {} : { next: step.next };
    }
    throw new Error(`the rollout of ${ref.workspace}/${ref.endpoint} does not come to rest`);
  });
}

function missing(error: unknown): undefined {
  if (!(error instanceof CairnError) || error.code !== 'ENDPOINT_NOT_FOUND') throw error;
}

async function withdraw({ platform, alarms }: ReconcileDeps, ref: EndpointRef): Promise<void> {
  await platform.withdraw(ref);
  const left = await alarms.describeAlarms(alarmPrefix(ref.workspace, ref.endpoint));
  if (left.length > 0) await alarms.deleteAlarms(left.map(({ name }) => name));
}

/** Gives the endpoint and the revisions that have traffic the alarms that the spec asks for, and takes the others away. */
async function syncAlarms(
  { alarms }: ReconcileDeps,
  ref: EndpointRef,
  { spec }: Endpoint,
  state: RolloutState,
): Promise<AlarmDescription[]> {
  const watched = [
    state.current,
    candidateOf(state),
    state.motion.phase === 'rolling-back' ? state.motion.bad : undefined,
  ];
  const revisions = new Set(watched.flatMap((revision) => (revision ? [revision.revision] : [])));
  const wanted = [ref, ...[...revisions].map((revision) => ({ ...ref, revision }))].flatMap((one) =>
    endpointAlarms(one, spec.alarms),
  );
  const prefix = alarmPrefix(ref.workspace, ref.endpoint);
  const found = await alarms.describeAlarms(prefix);
  const changed = wanted.filter((alarm) => !found.some((one) => isDefinedAs(one, alarm)));
  const gone = found
    .filter(({ name }) => !wanted.some((alarm) => alarm.name === name))
    .map(({ name }) => name);
  for (const alarm of changed) await alarms.putAlarm(alarm);
  if (gone.length > 0) await alarms.deleteAlarms(gone);
  return changed.length + gone.length === 0 ? found : alarms.describeAlarms(prefix);
}

function isDefinedAs(found: AlarmDescription, alarm: AlarmDefinition): boolean {
  const { state: _, stateReason: __, stateUpdatedAt: ___, ...definition } = found;
  return isDeepStrictEqual(definition, alarm);
}

interface Wanted {
  readonly wish: Wish;
  readonly refusal?: Refusal;
  readonly check?: Op | undefined;
}

/** What the spec asks for now. A version that cannot be deployed is no error here: the endpoint stays where it is. */
async function wishOf(versions: VersionSource, endpoint: Endpoint, state: RolloutState): Promise<Wanted> {
  const { spec, generation, forced, workspace, modelId } = endpoint;
  const { strategy, rollback, resources } = spec;
  const wish = {
    generation,
    replicas: replicaRange(spec).min,
    strategy,
    rollback,
    force: forced === generation,
  };
  const model = { id: modelId, name: spec.model };
  try {
    const version = await versionOf(versions, model, spec.target);
    const known = [candidateOf(state), state.current].some(
      (revision) => revision?.template.modelId === modelId && revision.template.version === version,
    );
    const target: Target = known
      ? { modelId, model: model.name, version }
      : await resolveTarget(versions, workspace, model, spec);
    const template = { modelId, model: target.model, version, resources };
    return { wish: { ...wish, template }, check: target.check };
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    return { wish, refusal: { code: error.code, detail: error.detail } };
  }
}

interface Transition {
  readonly ref: EndpointRef;
  readonly endpoint: Endpoint;
  readonly before: StatusRecord;
  readonly after: StatusRecord;
  readonly statusRev: number;
  readonly event: RolloutEvent | undefined;
  readonly check: Op | undefined;
  readonly now: number;
}

async function write(deps: ReconcileDeps, caller: Caller, transition: Transition): Promise<void> {
  const { ref, before, after, statusRev, event, check } = transition;
  if (!event && isDeepStrictEqual(JSON.parse(JSON.stringify(after)), before)) return;
  const ops: Op[] = [
    { put: { ...statusKey(ref), body: after }, if: { rev: statusRev } },
    ...useOps(ref, before.state, after.state),
  ];
  if (!event) return deps.table.transact(ops);
  const startsRevision = event.type === 'rollout-started' && event.to.revision > before.state.lastRevision;
  if (startsRevision) {
    ops.push({
      put: {
        ...revisionKey(ref, event.to.revision),
        body: { format: 1, ...event.to, createdAt: transition.now },
      },
      if: 'absent',
    });
    if (check) ops.push(check);
  }
  ops.push(...(await rolloutOps(deps, transition, event)));
  const change = {
    ...changeOf(ref, `endpoint.${event.type}`),
    ...describe(event, before.state),
  };
  await commit(deps, caller, change, ops);
}

/** Versions in use are marked in their model's partition, in the transaction that makes or forgets the revision. */
function useOps(ref: EndpointRef, before: RolloutState, after: RolloutState): Op[] {
  const old = neededRevisions(before);
  const now = neededRevisions(after);
  const keyOf = ({ revision, template }: (typeof now)[number]) =>
    useKey(template.modelId, template.version, ref, revision);
  return [
    ...now
      .filter(({ revision }) => !old.some((one) => one.revision === revision))
      .map((revision): Op => ({ put: { ...keyOf(revision), body: {} }, if: 'absent' })),
    ...old
      .filter(({ revision }) => !now.some((one) => one.revision === revision))
      .map((revision): Op => ({ delete: keyOf(revision), if: 'any' })),
  ];
}

async function rolloutOps(
  deps: ReconcileDeps,
  { ref, endpoint, now }: Transition,
  event: RolloutEvent,
): Promise<Op[]> {
  const key = rolloutKey(ref, event.rollout);
  const item = await deps.table.get(key);
  const record = recordEvent(item?.body as RolloutRecord | undefined, event, { by: endpoint.updatedBy, now });
  return record ? [{ put: { ...key, body: record }, if: item ? { rev: item.rev } : 'absent' }] : [];
}

function describe(event: RolloutEvent, before: RolloutState) {
  const name = (revision: { revision: number; template: { version: number } } | undefined) =>
    revision && { revision: revision.revision, version: revision.template.version };
  const { rollout } = event;
  switch (event.type) {
    case 'traffic-shifted':
      return { after: { rollout, weights: event.weights, ...name(candidateOf(before)) } };
    case 'rollback-started':
    case 'rolled-back': {
      const { by, reason, alarm } = event.cause;
      return {
        reason,
        before: name(event.from),
        after: { rollout, ...name(event.to), by, ...(alarm ? { alarm } : {}) },
      };
    }
    case 'rollout-failed':
    case 'rollout-superseded':
      return {
        reason: event.reason,
        before: { rollout, ...name(event.to) },
        after: name(event.from) ?? null,
      };
    default:
      return { before: name(event.from) ?? null, after: { rollout, ...name(event.to) } };
  }
}
