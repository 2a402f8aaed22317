import type { PlatformObservation, Resources, TrafficWeights } from '../ports/serving-platform.ts';
import type { Strategy } from './endpoint-spec.ts';

/** What makes one revision differ from another. */
export interface Template {
  readonly modelId: string;
  /** The model's name when the revision was made; a later rename does not make another revision. */
  readonly model: string;
  readonly version: number;
  readonly resources: Resources;
}

/** One version running for the endpoint, and the newest generation of the spec that asked for it. */
export interface Revision {
  readonly revision: number;
  readonly generation: number;
  readonly template: Template;
}

/** The revision that the endpoint is at. */
export interface Serving extends Revision {
  /** Whether it finished its bake. */
  readonly good: boolean;
  /** When it last got all traffic: alarms that began before are not its fault. */
  readonly trafficSince: number;
}

/** The last good revision before the current one. It stays up until `keepUntil`, and can be started again afterwards. */
export interface Kept extends Revision {
  readonly keepUntil: number;
}

/** A generation of the spec with the version it means: what a rollback rejects. */
export interface Pair {
  readonly generation: number;
  readonly version: number;
}

/** Why the endpoint goes back. */
export interface Cause {
  readonly by: string;
  readonly reason: string;
  readonly alarm?: string;
}

interface Rollout {
  readonly rollout: number;
  readonly since: number;
}

interface CandidateRollout extends Rollout {
  readonly candidate: Revision;
  readonly strategy: Strategy;
}

interface Watched extends CandidateRollout {
  /** When the candidate got its first traffic. */
  readonly trafficSince: number;
  /** The candidate's share, where the platform decides on it. */
  readonly percent?: number;
  /** Since when no replica of the candidate answers; the phase begins anew when one does. */
  readonly unreadySince?: number;
}

export type Motion =
  | { readonly phase: 'idle' }
  /** The candidate starts; it has no traffic. */
  | ({ readonly phase: 'starting' } & CandidateRollout)
  /** The candidate has its share, the current revision the rest. */
  | ({ readonly phase: 'canary' } & Watched)
  /** The candidate has all traffic, the current revision stays up. */
  | ({ readonly phase: 'baking' } & Watched)
  /** `bad` serves only until a replica of `to` is ready. */
  | ({
      readonly phase: 'rolling-back';
      readonly bad: Revision;
      readonly to: Revision;
      readonly cause: Cause;
    } & Rollout);

export interface RolloutState {
  /** The newest revision's number; numbers are never used again. */
  readonly lastRevision: number;
  readonly lastRollout: number;
  readonly current?: Serving | undefined;
  readonly previous?: Kept | undefined;
  /** Not tried again until the spec's generation or the alias' version is another. */
  readonly rejected?: Pair | undefined;
  /** A person's wish to go back, not acted on yet. */
  readonly requested?: Cause | undefined;
  readonly motion: Motion;
  readonly lastRollback?: LastRollback | undefined;
  readonly lastFailure?:
    | { readonly at: number; readonly version: number; readonly reason: string }
    | undefined;
}

export interface LastRollback extends Cause {
  readonly at: number;
  readonly from: { readonly revision: number; readonly version: number };
  readonly to: { readonly revision: number; readonly version: number };
}

/** What the spec wants now. */
export interface Wish {
  readonly generation: number;
  /** Absent while there is nothing that may be deployed: the alias points nowhere, the version is not approved … */
  readonly template?: Template | undefined;
  readonly replicas: number;
  readonly strategy: Strategy;
  readonly rollback: { readonly onAlarm: boolean; readonly keepPreviousSeconds: number };
  /** Roll out although an alarm is on. */
  readonly force: boolean;
}

/** An alarm in ALARM: the endpoint's, or one revision's. */
export interface Firing {
  readonly name: string;
  readonly revision?: number;
  readonly since: number;
  readonly reason: string;
  /** Milliseconds of traffic that the alarm looks back on. */
  readonly window: number;
}

export interface Observation {
  readonly wish: Wish;
  readonly platform: PlatformObservation;
  readonly firing: readonly Firing[];
}

export type Action =
  | { readonly type: 'start'; readonly revision: Revision; readonly replicas: number }
  | { readonly type: 'shift'; readonly weights: TrafficWeights }
  | { readonly type: 'stop'; readonly revision: number };

/** A real transition, for the rollout's history and the audit trail. */
export type RolloutEvent =
  | {
      readonly type: 'rollout-started';
      readonly rollout: number;
      readonly from?: Revision;
      readonly to: Revision;
      readonly strategy: Strategy;
    }
  | { readonly type: 'traffic-shifted'; readonly rollout: number; readonly weights: TrafficWeights }
  | { readonly type: 'rolled-out'; readonly rollout: number; readonly from?: Revision; readonly to: Revision }
  | {
      readonly type: 'rollout-failed' | 'rollout-superseded';
      readonly rollout: number;
      readonly from?: Revision;
      readonly to: Revision;
      readonly reason: string;
    }
  | {
      readonly type: 'rollback-started' | 'rolled-back';
      readonly rollout: number;
      readonly from: Revision;
      readonly to: Revision;
      readonly cause: Cause;
    };

export interface Step {
  readonly state: RolloutState;
  readonly event?: RolloutEvent;
}

/** A candidate that fails so often, to start or to stay alive, is given up. */
const MAX_FAILURES = 3;
/** Milliseconds that a revision may take until it answers. */
export const READY_DEADLINE = 300_000;

export const initialState = (numbers: { lastRevision: number; lastRollout: number }): RolloutState => ({
  ...numbers,
  motion: { phase: 'idle' },
});

/**
 * One step of the rollout machine and what the platform has to do for the state after it, in this order.
 * Pure and level-triggered: the actions are the difference between the state and what is observed, so that repeating
 * a call, or continuing after a crash, does the same or nothing. `state` is the same object when there was no step;
 * otherwise call again. Times are milliseconds since the epoch.
 */
export function advance(
  state: RolloutState,
  observation: Observation,
  now: number,
): { state: RolloutState; actions: Action[]; event?: RolloutEvent } {
  const step = nextStep(state, observation, now) ?? { state };
  return { ...step, actions: actionsFor(step.state, observation, now) };
}

/** When the machine has to be asked again although nothing tells it to, milliseconds since the epoch. */
export function nextDue(state: RolloutState, observation: Observation, now: number): number | undefined {
  const { motion } = state;
  const due: number[] = [];
  if (motion.phase !== 'idle' || actionsFor(state, observation, now).length > 0) due.push(now + 1000);
  if (motion.phase === 'canary' || motion.phase === 'baking') due.push(phaseEnd(motion));
  if (state.previous && state.previous.keepUntil > now) due.push(state.previous.keepUntil);
  return due.length === 0 ? undefined : Math.max(now + 1, Math.min(...due));
}

/** Percent of the traffic per revision. Sums to 100 once something is served. */
export function weightsOf({ current, motion }: RolloutState): TrafficWeights {
  switch (motion.phase) {
    case 'idle':
    case 'starting':
      return current ? { [current.revision]: 100 } : {};
    case 'canary': {
      const { strategy } = motion;
      const wanted = strategy.type === 'canary' && current ? strategy.canaryPercent : 100;
      const percent = motion.percent ?? wanted;
      const rest = current ? { [current.revision]: 100 - percent } : {};
      return { ...rest, [motion.candidate.revision]: percent };
    }
    case 'baking':
      return { [motion.candidate.revision]: 100 };
    case 'rolling-back':
      return { [motion.bad.revision]: 100 };
  }
}

/** The revision that the rollout under way brings. */
export function candidateOf({ motion }: RolloutState): Revision | undefined {
  return motion.phase === 'idle' || motion.phase === 'rolling-back' ? undefined : motion.candidate;
}

/** Revisions whose version must stay: those that run and those needed to go back. */
export function neededRevisions(state: RolloutState): Revision[] {
  const { current, previous, motion } = state;
  const candidate = candidateOf(state);
  const rollingBack = motion.phase === 'rolling-back' ? [motion.bad, motion.to] : [];
  const all = [current, previous, candidate, ...rollingBack].filter((revision) => revision !== undefined);
  return [...new Map(all.map((revision) => [revision.revision, revision])).values()];
}

/** Where a rollback would lead; undefined if there is nothing to go back to, or the endpoint is going back already. */
export function wayBack({ current, previous, motion }: RolloutState): Revision | undefined {
  switch (motion.phase) {
    case 'idle':
      return current && previous;
    case 'rolling-back':
      return undefined;
    default:
      return current ?? previous;
  }
}

export const sameTemplate = (a: Template, b: Template) =>
  a.modelId === b.modelId &&
  a.version === b.version &&
  a.resources.cpu === b.resources.cpu &&
  a.resources.memoryMiB === b.resources.memoryMiB;

export const isRejected = ({ rejected }: RolloutState, wish: Wish) =>
  rejected?.generation === wish.generation && rejected.version === wish.template?.version;

/** An alarm that refuses a new rollout. */
export function blockingAlarm(
  { current }: Pick<RolloutState, 'current'>,
  firing: readonly Firing[],
): Firing | undefined {
  return current && firing.find(({ revision }) => revision === undefined || revision === current.revision);
}

function nextStep(state: RolloutState, seen: Observation, now: number): Step | undefined {
  const verdict = judge(state, seen, now);
  if (verdict) return goBack(state, seen, now, verdict);
  const { motion } = state;
  switch (motion.phase) {
    case 'idle':
      return fromIdle(state, seen, now);
    case 'starting':
      return (
        superseded(state, seen, now, motion) ??
        adopted(state, seen, motion) ??
        fromStarting(state, seen, now, motion)
      );
    case 'canary':
    case 'baking':
      return (
        superseded(state, seen, now, motion) ??
        adopted(state, seen, motion) ??
        fromWatched(state, seen, now, motion)
      );
    case 'rolling-back':
      return fromRollingBack(state, seen, now, motion);
  }
}

interface Verdict {
  readonly bad: 'candidate' | 'current';
  readonly cause: Cause;
}

/** Whether something that serves has to go, and why. */
function judge(
  state: RolloutState,
  { wish, platform, firing }: Observation,
  now: number,
): Verdict | undefined {
  const { motion, current, requested } = state;
  if (requested) return { bad: candidateOf(state) ? 'candidate' : 'current', cause: requested };
  if (motion.phase === 'rolling-back' || wayBack(state) === undefined) return undefined;
  if (motion.phase === 'canary' || motion.phase === 'baking') {
    const alarm = wish.rollback.onAlarm ? blameCandidate(motion, firing) : undefined;
    if (alarm) return { bad: 'candidate', cause: alarmCause(alarm) };
    const failure = failureOf(motion.candidate, platform, motion.unreadySince, now);
    return failure === undefined
      ? undefined
      : { bad: 'candidate', cause: { by: 'system:reconcile', reason: failure } };
  }
  if (!current || !state.previous || !wish.rollback.onAlarm) return undefined;
  const alarm = blameCurrent(current, firing);
  return alarm && { bad: 'current', cause: alarmCause(alarm) };
}

/** A candidate answers for its own alarms and for the endpoint's: going back is cheap. */
export const blameCandidate = ({ candidate, trafficSince }: WatchedMotion, firing: readonly Firing[]) =>
  firing.find(
    ({ revision, since }) => (revision ?? candidate.revision) === candidate.revision && since > trafficSince,
  );

/** The current revision answers for the endpoint's alarm only if that saw none of the traffic before it. */
export const blameCurrent = (current: Serving, firing: readonly Firing[]) =>
  firing.find(({ revision, since, window }) =>
    revision === undefined
      ? since > current.trafficSince + window
      : revision === current.revision && since > current.trafficSince,
  );

export const alarmCause = ({ name, reason }: Firing): Cause => ({
  by: 'system:on-alarm',
  reason,
  alarm: name,
});

/** Why the revision is given up, if it is. */
function failureOf(
  { revision }: Revision,
  platform: PlatformObservation,
  unreadySince: number | undefined,
  now: number,
): string | undefined {
  const seen = platform.revisions.find((one) => one.revision === revision);
  const last = seen?.lastFailure ? `: ${seen.lastFailure}` : '';
  if (seen && seen.failures >= MAX_FAILURES)
    return `Revision ${revision} failed ${seen.failures} times${last}`;
  if (unreadySince === undefined || seen?.preparing) return undefined;
  if (now - Math.max(unreadySince, seen?.preparedAt ?? 0) >= READY_DEADLINE) {
    return `Revision ${revision} was not ready within ${READY_DEADLINE / 1000} seconds${last}`;
  }
  return undefined;
}

function goBack(state: RolloutState, seen: Observation, now: number, { bad, cause }: Verdict): Step {
  const { motion, current, previous } = state;
  if (motion.phase === 'rolling-back') return { state: { ...state, requested: undefined } };
  if (motion.phase !== 'idle') {
    if (bad === 'candidate') {
      const to = current ?? previous;
      if (!to) return { state: { ...state, requested: undefined } };
      const waits = motion.phase === 'baking' && readyOf(to, seen) === 0;
      return leave(state, seen, now, { rollout: motion.rollout, bad: motion.candidate, to, cause, waits });
    }
    return drop(state, motion, 'The current revision goes back first.');
  }
  if (!current || !previous) return { state: { ...state, requested: undefined } };
  const rollout = state.lastRollout + 1;
  const waits = readyOf(previous, seen) === 0;
  return leave({ ...state, lastRollout: rollout }, seen, now, {
    rollout,
    bad: current,
    to: previous,
    cause,
    waits,
  });
}

export interface Leaving {
  readonly rollout: number;
  readonly bad: Revision;
  readonly to: Revision;
  readonly cause: Cause;
}

/** Goes back at once, or waits for the revision to go back to. */
export function leave(
  state: RolloutState,
  { wish }: Observation,
  now: number,
  going: Leaving & { waits: boolean },
): Step {
  const { waits, rollout, bad, to, cause } = going;
  const rejected = isRejected(state, wish)
    ? state.rejected
    : { generation: bad.generation, version: bad.template.version };
  const next = { ...state, rejected, requested: undefined };
  if (!waits) return arrive(next, now, going);
  return {
    state: { ...next, motion: { phase: 'rolling-back', rollout, since: now, bad, to, cause } },
    event: { type: 'rollback-started', rollout, from: bad, to, cause },
  };
}

/** The revision to go back to has the traffic again. */
export function arrive(state: RolloutState, now: number, { rollout, bad, to, cause }: Leaving): Step {
  const stays = to.revision === state.current?.revision;
  return {
    state: {
      ...state,
      current: { ...revisionOf(to), good: stays ? (state.current?.good ?? true) : true, trafficSince: now },
      previous: stays ? state.previous : undefined,
      motion: { phase: 'idle' },
      lastRollback: { at: now, from: label(bad), to: label(to), ...cause },
      lastFailure: undefined,
    },
    event: { type: 'rolled-back', rollout, from: revisionOf(bad), to: revisionOf(to), cause },
  };
}

/** Begins the rollout of what is wanted, unless it was given up or an alarm is on. */
export function fromIdle(
  state: RolloutState,
  { wish, firing, platform }: Observation,
  now: number,
): Step | undefined {
  const { current } = state;
  const { template } = wish;
  if (!template || isRejected(state, wish)) return undefined;
  const rollout = state.lastRollout + 1;
  if (current && sameTemplate(template, current.template)) {
    if (!current.good) return bakeAgain(state, wish, now, current);
    if (current.generation === wish.generation && !state.rejected) return undefined;
    return { state: { ...state, current: { ...current, generation: wish.generation }, rejected: undefined } };
  }
  if (!wish.force && blockingAlarm(state, firing)) return undefined;
  // A table that was restored does not know of revisions that were made since, and one of them may still run.
  const last = Math.max(state.lastRevision, ...platform.revisions.map(({ revision }) => revision));
  const candidate: Revision = { revision: last + 1, generation: wish.generation, template };
  return {
    state: {
      ...state,
      lastRevision: candidate.revision,
      lastRollout: rollout,
      rejected: undefined,
      lastFailure: undefined,
      motion: { phase: 'starting', rollout, since: now, candidate, strategy: wish.strategy },
    },
    event: {
      type: 'rollout-started',
      rollout,
      ...fromCurrent(state),
      to: candidate,
      strategy: wish.strategy,
    },
  };
}

/** A revision that serves without having finished a bake is wanted after all. */
function bakeAgain(state: RolloutState, wish: Wish, now: number, current: Serving): Step {
  const rollout = state.lastRollout + 1;
  const { strategy } = wish;
  const candidate = { ...revisionOf(current), generation: wish.generation };
  return {
    state: {
      ...state,
      lastRollout: rollout,
      current: undefined,
      rejected: undefined,
      motion: { phase: 'baking', rollout, since: now, candidate, strategy, trafficSince: now },
    },
    event: { type: 'rollout-started', rollout, to: candidate, strategy },
  };
}

export type WithCandidate = Extract<Motion, { candidate: Revision }>;
export type WatchedMotion = Extract<Motion, { trafficSince: number }>;

/** The spec wants something else than the candidate. */
function superseded(
  state: RolloutState,
  seen: Observation,
  now: number,
  motion: WithCandidate,
): Step | undefined {
  const { template, generation } = seen.wish;
  const { current } = state;
  if (!template || sameTemplate(template, motion.candidate.template)) return undefined;
  const reason = `Version ${template.version} is wanted by generation ${generation}.`;
  if (motion.phase === 'starting') return drop(state, motion, reason);
  if (!current) {
    const step = drop(state, motion, reason);
    return {
      ...step,
      state: {
        ...step.state,
        current: { ...motion.candidate, good: false, trafficSince: motion.trafficSince },
      },
    };
  }
  if (motion.phase === 'baking' && readyOf(current, seen) === 0) return undefined;
  return drop({ ...state, current: { ...current, trafficSince: now } }, motion, reason);
}

/** Ends a rollout in favour of something else; the current revision has the traffic. */
export function drop(state: RolloutState, { rollout, candidate }: WithCandidate, reason: string): Step {
  return {
    state: { ...state, motion: { phase: 'idle' } },
    event: { type: 'rollout-superseded', rollout, ...fromCurrent(state), to: candidate, reason },
  };
}

/** A newer generation of the spec wants the same candidate. */
export function adopted(state: RolloutState, { wish }: Observation, motion: WithCandidate): Step | undefined {
  if (!wish.template || motion.candidate.generation === wish.generation) return undefined;
  const candidate = { ...motion.candidate, generation: wish.generation };
  return { state: { ...state, motion: { ...motion, candidate } } };
}

function fromStarting(
  state: RolloutState,
  seen: Observation,
  now: number,
  motion: Extract<Motion, { phase: 'starting' }>,
): Step | undefined {
  const { rollout, candidate, strategy, since } = motion;
  if (readyOf(candidate, seen) >= seen.wish.replicas) {
    const phase = strategy.type === 'canary' && state.current ? 'canary' : 'baking';
    return shifted(state, { phase, rollout, candidate, strategy, since: now, trafficSince: now });
  }
  const reason = failureOf(candidate, seen.platform, since, now);
  return reason === undefined ? undefined : failed(state, now, motion, reason);
}

/** The candidate is given up, and what it was is not tried again. */
export function failed(
  state: RolloutState,
  now: number,
  { rollout, candidate }: WithCandidate,
  reason: string,
): Step {
  const version = candidate.template.version;
  return {
    state: {
      ...state,
      motion: { phase: 'idle' },
      rejected: { generation: candidate.generation, version },
      lastFailure: { at: now, version, reason },
    },
    event: { type: 'rollout-failed', rollout, ...fromCurrent(state), to: candidate, reason },
  };
}

export function shifted(before: RolloutState, motion: WatchedMotion): Step {
  const state = { ...before, motion };
  return { state, event: { type: 'traffic-shifted', rollout: motion.rollout, weights: weightsOf(state) } };
}

function fromWatched(
  state: RolloutState,
  seen: Observation,
  now: number,
  motion: WatchedMotion,
): Step | undefined {
  const { candidate, unreadySince, ...rest } = motion;
  if (readyOf(candidate, seen) === 0) {
    return unreadySince === undefined
      ? { state: { ...state, motion: { ...motion, unreadySince: now } } }
      : undefined;
  }
  if (unreadySince !== undefined) return { state: { ...state, motion: { ...rest, candidate, since: now } } };
  if (now < phaseEnd(motion)) return undefined;
  if (motion.phase === 'canary') return shifted(state, { ...motion, phase: 'baking', since: now });
  // Only without a way back does an alarm leave a candidate where it is: it then counts as good once the alarm is over.
  if (seen.wish.rollback.onAlarm && blameCandidate(motion, seen.firing)) return undefined;
  return rolledOut(state, motion, motion.trafficSince, now + seen.wish.rollback.keepPreviousSeconds * 1000);
}

/** The candidate finished its bake: it is what the endpoint is at, and the last good one. */
export function rolledOut(
  state: RolloutState,
  { candidate, rollout }: WithCandidate,
  trafficSince: number,
  keepUntil: number,
): Step {
  const { current } = state;
  return {
    state: {
      ...state,
      current: { ...candidate, good: true, trafficSince },
      previous: current?.good ? { ...revisionOf(current), keepUntil } : state.previous,
      motion: { phase: 'idle' },
    },
    event: { type: 'rolled-out', rollout, ...fromCurrent(state), to: candidate },
  };
}

function fromRollingBack(
  state: RolloutState,
  seen: Observation,
  now: number,
  motion: Extract<Motion, { phase: 'rolling-back' }>,
): Step | undefined {
  return readyOf(motion.to, seen) > 0 ? arrive(state, now, motion) : abandoned(state, seen, now, motion);
}

/** The spec wants something else than the revision to go back to, which is long in coming. */
export function abandoned(
  state: RolloutState,
  { wish, firing }: Observation,
  now: number,
  motion: Extract<Motion, { phase: 'rolling-back' }>,
): Step | undefined {
  const wanted =
    wish.template &&
    !sameTemplate(wish.template, motion.to.template) &&
    !isRejected(state, wish) &&
    (wish.force ||
      !firing.some(({ revision }) => revision === undefined || revision === motion.bad.revision));
  if (!wanted) return undefined;
  const reason = `Version ${wish.template?.version} is wanted by generation ${wish.generation}.`;
  const { current, previous } = state;
  const wasGood = current?.revision !== motion.to.revision || current.good;
  const keepUntil = now + wish.rollback.keepPreviousSeconds * 1000;
  return {
    state: {
      ...state,
      current: { ...revisionOf(motion.bad), good: false, trafficSince: now },
      previous: wasGood ? { ...revisionOf(motion.to), keepUntil } : previous,
      motion: { phase: 'idle' },
    },
    event: { type: 'rollout-superseded', rollout: motion.rollout, from: motion.bad, to: motion.to, reason },
  };
}

/** Start what has to run, then move the traffic, then stop what is not needed: the difference to what is observed. */
function actionsFor(state: RolloutState, { wish, platform }: Observation, now: number): Action[] {
  const { previous, motion } = state;
  const running = neededRevisions(state).filter(
    ({ revision }) =>
      revision !== previous?.revision ||
      now < previous.keepUntil ||
      (motion.phase === 'rolling-back' && motion.to.revision === revision),
  );
  const weights = weightsOf(state);
  const starts = running
    .filter(
      ({ revision }) =>
        platform.revisions.find((seen) => seen.revision === revision)?.desired !== wish.replicas,
    )
    .map((revision): Action => ({ type: 'start', revision: revisionOf(revision), replicas: wish.replicas }));
  const stops = platform.revisions
    .filter((seen) => !running.some(({ revision }) => revision === seen.revision))
    .map(({ revision }): Action => ({ type: 'stop', revision }));
  return [
    ...starts,
    ...(sameWeights(weights, platform.weights) ? [] : [{ type: 'shift', weights } as const]),
    ...stops,
  ];
}

function sameWeights(a: TrafficWeights, b: TrafficWeights): boolean {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)].map(Number));
  return [...keys].every((key) => (a[key] ?? 0) === (b[key] ?? 0));
}

const readyOf = ({ revision }: Revision, { platform }: Observation) =>
  platform.revisions.find((seen) => seen.revision === revision)?.ready ?? 0;

function phaseEnd({ phase, since, strategy }: WatchedMotion): number {
  const canary = strategy.type === 'canary' ? strategy.canarySeconds : 0;
  return since + 1000 * (phase === 'canary' ? canary : strategy.bakeSeconds);
}

const revisionOf = ({ revision, generation, template }: Revision): Revision => ({
  revision,
  generation,
  template,
});
const label = ({ revision, template }: Revision) => ({ revision, version: template.version });
const fromCurrent = ({ current }: RolloutState) => (current ? { from: revisionOf(current) } : {});
