import type { RevisionObservation } from '../ports/serving-platform.ts';
import {
  blockingAlarm,
  candidateOf,
  isRejected,
  neededRevisions,
  type Observation,
  type Revision,
  type RolloutState,
  weightsOf,
} from './rollout.ts';

/** What the controller knows of an endpoint, as it is stored. */
export interface StatusRecord {
  readonly format: 1;
  /** The generation of the spec that this status is about. */
  readonly observedGeneration: number;
  readonly state: RolloutState;
  readonly replicas: readonly RevisionObservation[];
  readonly conditions: readonly Condition[];
}

/** Kubernetes' condition: what is true of the endpoint, and why. */
export interface Condition {
  /**
   * `Ready`: requests are answered. `Progressing`: a rollout is under way, or why none is.
   * `Degraded`: an alarm is on, replicas are missing, or what runs is not what the spec asks for.
   */
  readonly type: 'Ready' | 'Progressing' | 'Degraded';
  readonly status: boolean;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  /** When `status` last changed, milliseconds since the epoch. */
  readonly lastTransitionTime: number;
}

/** The status as users see it. */
export interface EndpointStatus {
  readonly observedGeneration: number;
  readonly phase: RolloutState['motion']['phase'];
  readonly current?: RevisionStatus;
  readonly previous?: RevisionStatus;
  readonly candidate?: RevisionStatus;
  readonly traffic: readonly {
    readonly revision: number;
    readonly version: number;
    readonly percent: number;
  }[];
  /** When the phase began, milliseconds since the epoch; absent when idle. */
  readonly phaseSince?: number;
  readonly rejected?: RolloutState['rejected'];
  readonly lastRollback?: RolloutState['lastRollback'];
  readonly lastFailure?: RolloutState['lastFailure'];
  readonly conditions: readonly Condition[];
}

export interface RevisionStatus {
  readonly revision: number;
  readonly version: number;
  readonly generation: number;
  /** Replicas asked for, and those that answer. */
  readonly desired: number;
  readonly ready: number;
  readonly failures: number;
  readonly lastFailure?: string;
}

/** Why the spec's version is not being deployed: an error's code and detail. */
export interface Refusal {
  readonly code: string;
  readonly detail: string;
}

/** The status after a step; `before` gives the times of conditions that did not change. */
export function statusOf(
  state: RolloutState,
  seen: Observation,
  context: { before?: StatusRecord | undefined; refusal?: Refusal | undefined; now: number },
): StatusRecord {
  const observedGeneration = seen.wish.generation;
  const needed = new Set(neededRevisions(state).map(({ revision }) => revision));
  const conditions = [
    readiness(state, seen),
    progress(state, seen, context.refusal),
    degradation(state, seen),
  ];
  return {
    format: 1,
    observedGeneration,
    state,
    replicas: seen.platform.revisions.filter(({ revision }) => needed.has(revision)),
    conditions: conditions.map((condition) => {
      const old = context.before?.conditions.find(({ type }) => type === condition.type);
      const lastTransitionTime = old?.status === condition.status ? old.lastTransitionTime : context.now;
      return { ...condition, observedGeneration, lastTransitionTime };
    }),
  };
}

/** What users see of a stored status. */
export function viewStatus({
  observedGeneration,
  state,
  replicas,
  conditions,
}: StatusRecord): EndpointStatus {
  const { current, previous, motion, rejected, lastRollback, lastFailure } = state;
  const candidate = candidateOf(state);
  const weights = weightsOf(state);
  const view = (revision: Revision): RevisionStatus => {
    const seen = replicas.find((one) => one.revision === revision.revision);
    return {
      revision: revision.revision,
      version: revision.template.version,
      generation: revision.generation,
      desired: seen?.desired ?? 0,
      ready: seen?.ready ?? 0,
      failures: seen?.failures ?? 0,
      ...(seen?.lastFailure === undefined ? {} : { lastFailure: seen.lastFailure }),
    };
  };
  return {
    observedGeneration,
    phase: motion.phase,
    ...(current && { current: view(current) }),
    ...(previous && { previous: view(previous) }),
    ...(candidate && { candidate: view(candidate) }),
    traffic: neededRevisions(state).flatMap(({ revision, template }) => {
      const percent = weights[revision] ?? 0;
      return percent > 0 ? [{ revision, version: template.version, percent }] : [];
    }),
    ...(motion.phase === 'idle' ? {} : { phaseSince: motion.since }),
    ...(rejected && { rejected }),
    ...(lastRollback && { lastRollback }),
    ...(lastFailure && { lastFailure }),
    conditions,
  };
}

type Draft = Pick<Condition, 'type' | 'status' | 'reason' | 'message'>;

function readiness(state: RolloutState, { platform }: Observation): Draft {
  const type = 'Ready';
  const weighted = Object.entries(weightsOf(state)).filter(([, percent]) => percent > 0);
  const answering = weighted.filter(([revision]) =>
    platform.revisions.some((seen) => seen.revision === Number(revision) && seen.ready > 0),
  );
  if (answering.length > 0)
    return { type, status: true, reason: 'Serving', message: 'Requests are answered.' };
  return weighted.length === 0
    ? { type, status: false, reason: 'NothingServes', message: 'No revision has been ready yet.' }
    : {
        type,
        status: false,
        reason: 'NoReplicaReady',
        message: 'No replica answers; they are being restarted.',
      };
}

function progress(
  state: RolloutState,
  { wish, firing, platform }: Observation,
  refusal: Refusal | undefined,
): Draft {
  const type = 'Progressing';
  const { motion, current, lastFailure, lastRollback } = state;
  const still = (reason: string, message: string): Draft => ({ type, status: false, reason, message });
  const moving = (reason: string, message: string): Draft => ({ type, status: true, reason, message });
  switch (motion.phase) {
    case 'starting': {
      const { revision, template } = motion.candidate;
      const seen = platform.revisions.find((one) => one.revision === revision);
      return seen?.preparing
        ? moving(
            'Preparing',
            `The environment of revision ${revision} is being made; the first time that takes minutes.`,
          )
        : moving('Starting', `Revision ${revision} starts with version ${template.version}.`);
    }
    case 'canary':
      return moving(
        'Canary',
        `Revision ${motion.candidate.revision} has ${weightsOf(state)[motion.candidate.revision]} % of the traffic.`,
      );
    case 'baking':
      return moving('Baking', `Revision ${motion.candidate.revision} has all traffic and is watched.`);
    case 'rolling-back':
      return moving(
        'RollingBack',
        `Waits for revision ${motion.to.revision} to take the traffic back: ${motion.cause.reason}`,
      );
    case 'idle':
  }
  if (isRejected(state, wish)) {
    return lastFailure
      ? still('RolloutFailed', lastFailure.reason)
      : still('RolledBack', lastRollback?.reason ?? '');
  }
  if (refusal) return still(refusal.code, refusal.detail);
  const alarm =
    current?.template.version === wish.template?.version ? undefined : blockingAlarm(state, firing);
  if (alarm && !wish.force)
    return still('AlarmActive', `No rollout while ${alarm.name} is in ALARM: ${alarm.reason}`);
  return still('Steady', 'The endpoint runs what its spec asks for.');
}

function degradation(state: RolloutState, { wish, platform, firing }: Observation): Draft {
  const type = 'Degraded';
  const needed = neededRevisions(state);
  const alarm = firing.find(
    ({ revision }) => revision === undefined || needed.some((one) => one.revision === revision),
  );
  if (alarm) return { type, status: true, reason: 'AlarmActive', message: `${alarm.name}: ${alarm.reason}` };
  if (isRejected(state, wish)) {
    const { generation, version } = state.rejected ?? {};
    return {
      type,
      status: true,
      reason: 'Rejected',
      message: `Version ${version}, which generation ${generation} asks for, was given up and is not tried again.`,
    };
  }
  const weights = weightsOf(state);
  const short = platform.revisions.find(
    ({ revision, ready, desired }) => (weights[revision] ?? 0) > 0 && ready < desired,
  );
  if (short) {
    const why = short.lastFailure ? `: ${short.lastFailure}` : '.';
    const message = `Revision ${short.revision} has ${short.ready} of ${short.desired} replicas${why}`;
    return { type, status: true, reason: 'ReplicasMissing', message };
  }
  return { type, status: false, reason: 'AsExpected', message: '' };
}
