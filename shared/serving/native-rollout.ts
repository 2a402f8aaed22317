import type { PlatformRollout, ReplicaRange, RolloutObservation } from '../ports/serving-platform.ts';
import type { Strategy } from './endpoint-spec.ts';
import {
  abandoned,
  adopted,
  alarmCause,
  arrive,
  blameCandidate,
  blameCurrent,
  type Cause,
  candidateOf,
  drop,
  failed,
  fromIdle,
  leave,
  type Observation,
  type Revision,
  type RolloutEvent,
  type RolloutState,
  rolledOut,
  type Step,
  sameTemplate,
  shifted,
  type WithCandidate,
  wayBack,
} from './rollout.ts';

/** What is seen of an endpoint whose platform rolls out by itself. */
export interface NativeObservation extends Observation {
  readonly platform: RolloutObservation;
  readonly replicas: ReplicaRange;
}

export type NativeAction =
  | {
      readonly type: 'roll-out';
      readonly revision: Revision;
      readonly strategy: Strategy;
      readonly watched: boolean;
    }
  | { readonly type: 'roll-back' }
  | { readonly type: 'scale'; readonly replicas: ReplicaRange }
  | { readonly type: 'withdraw' };

/** How a revision that was good before comes back: at once, and watched by nothing. */
const BACK: Strategy = { type: 'all-at-once', bakeSeconds: 0 };
/** Platforms of this kind take minutes, and tell of changes besides. */
const LOOK_AGAIN = 10_000;

/**
 * The rollout machine for a platform with an engine of its own: the same states, events and promises as `advance`, but it
 * follows what the engine does instead of doing it, and orders only where the endpoint is to be. A candidate is good when
 * the engine says that its rollout succeeded. Pure and level-triggered; it acts when no step is left.
 */
export function advanceNative(
  state: RolloutState,
  seen: NativeObservation,
  now: number,
): { state: RolloutState; actions: NativeAction[]; event?: RolloutEvent } {
  const step = nextStep(state, seen, now);
  return step ? { ...step, actions: [] } : { state, actions: actionsFor(state, seen) };
}

/** When the machine has to be asked again although nothing tells it to, milliseconds since the epoch. */
export function nextDueNative(state: RolloutState, seen: NativeObservation, now: number): number | undefined {
  const moving = state.motion.phase !== 'idle' || actionsFor(state, seen).length > 0;
  return moving ? now + LOOK_AGAIN : undefined;
}

function nextStep(state: RolloutState, seen: NativeObservation, now: number): Step | undefined {
  const { motion } = state;
  switch (motion.phase) {
    case 'idle':
      return askedBack(state, seen, now) ?? fromIdle(state, seen, now);
    case 'rolling-back': {
      if (state.requested) return { state: { ...state, requested: undefined } };
      const { rollout } = seen.platform;
      if (isThere(rollout) && headingOf(rollout) === motion.to.revision) return arrive(state, now, motion);
      // The way there ends by itself; only when it failed does something else go first.
      const wasTried = rollout?.revision === motion.to.revision;
      return wasTried && headingOf(rollout) !== motion.to.revision
        ? abandoned(state, seen, now, motion)
        : undefined;
    }
    default:
      return (
        ofEngine(state, seen, now, motion) ??
        askedBack(state, seen, now) ??
        succeeded(state, seen, now, motion) ??
        superseded(state, seen, motion) ??
        adopted(state, seen, motion) ??
        followed(state, seen, now, motion)
      );
  }
}

/** A person or an alarm wants the endpoint back where it was. */
function askedBack(state: RolloutState, seen: NativeObservation, now: number): Step | undefined {
  const { requested, motion, current } = state;
  if (!requested && motion.phase === 'starting') {
    const bad = state.previous && accused(state, seen);
    return bad && drop(state, motion, 'The current revision goes back first.');
  }
  const to = wayBack(state);
  const cause = requested ?? (to && accused(state, seen));
  if (!cause) return undefined;
  const bad = candidateOf(state) ?? current;
  if (!to || !bad) return { state: { ...state, requested: undefined } };
  const rollout = motion.phase === 'idle' ? state.lastRollout + 1 : motion.rollout;
  return leave({ ...state, lastRollout: rollout }, seen, now, { rollout, bad, to, cause, waits: true });
}

function accused({ motion, current }: RolloutState, { wish, firing }: NativeObservation): Cause | undefined {
  if (!wish.rollback.onAlarm) return undefined;
  const alarm =
    motion.phase === 'canary' || motion.phase === 'baking'
      ? blameCandidate(motion, firing)
      : current && blameCurrent(current, firing);
  return alarm && alarmCause(alarm);
}

/** The engine went back by itself, or could not even do that. */
function ofEngine(
  state: RolloutState,
  seen: NativeObservation,
  now: number,
  motion: WithCandidate,
): Step | undefined {
  const rollout = rolloutOf(motion.candidate, seen);
  if (!rollout || rollout.phase === 'in-progress' || rollout.phase === 'succeeded') return undefined;
  const { phase, reason = 'The platform gave it up.', alarm } = rollout;
  const to = wayBack(state);
  if (motion.phase === 'starting' || phase === 'failed' || !to) return failed(state, now, motion, reason);
  const firing = seen.firing.find(({ name }) => name === alarm);
  const cause = firing ? alarmCause(firing) : { by: 'system:platform', reason, ...(alarm ? { alarm } : {}) };
  const { rollout: number, candidate: bad } = motion;
  return leave(state, seen, now, { rollout: number, bad, to, cause, waits: phase === 'rolling-back' });
}

function succeeded(
  state: RolloutState,
  seen: NativeObservation,
  now: number,
  motion: WithCandidate,
): Step | undefined {
  if (rolloutOf(motion.candidate, seen)?.phase !== 'succeeded') return undefined;
  return rolledOut(state, motion, motion.phase === 'starting' ? now : motion.trafficSince, now);
}

/** The spec wants something else than the candidate: the engine is sent there from wherever it is. */
function superseded(
  state: RolloutState,
  { wish }: NativeObservation,
  motion: WithCandidate,
): Step | undefined {
  const { template, generation } = wish;
  if (!template || sameTemplate(template, motion.candidate.template)) return undefined;
  const { current } = state;
  const serving =
    current || motion.phase === 'starting'
      ? current
      : { ...motion.candidate, good: false, trafficSince: motion.trafficSince };
  return drop(
    { ...state, current: serving },
    motion,
    `Version ${template.version} is wanted by generation ${generation}.`,
  );
}

/** The engine moved traffic. */
function followed(
  state: RolloutState,
  seen: NativeObservation,
  now: number,
  motion: WithCandidate,
): Step | undefined {
  const { rollout, candidate, strategy } = motion;
  const percent = rolloutOf(candidate, seen) ? (seen.platform.weights[candidate.revision] ?? 0) : 0;
  if (percent === 0) return undefined;
  const trafficSince = motion.phase === 'starting' ? now : motion.trafficSince;
  if (percent === 100) {
    if (motion.phase === 'baking') return undefined;
    return shifted(state, { phase: 'baking', rollout, since: now, candidate, strategy, trafficSince });
  }
  if (motion.phase === 'canary' && motion.percent === percent) return undefined;
  return shifted(state, { phase: 'canary', rollout, since: now, candidate, strategy, trafficSince, percent });
}

function actionsFor(state: RolloutState, { platform, replicas, wish }: NativeObservation): NativeAction[] {
  const { motion, current } = state;
  const { rollout } = platform;
  const target =
    motion.phase === 'idle' ? current : motion.phase === 'rolling-back' ? motion.to : motion.candidate;
  if (!target) return rollout || platform.revisions.length > 0 ? [{ type: 'withdraw' }] : [];
  if (headingOf(rollout) !== target.revision) {
    if (rollout?.phase === 'in-progress' && rollout.from === target.revision) return [{ type: 'roll-back' }];
    const { revision, generation, template } = target;
    const candidate = candidateOf(state) !== undefined;
    return [
      {
        type: 'roll-out',
        revision: { revision, generation, template },
        strategy: candidate && 'strategy' in motion ? motion.strategy : BACK,
        watched: candidate && wish.rollback.onAlarm,
      },
    ];
  }
  const set = platform.replicas;
  return set && (set.min !== replicas.min || set.max !== replicas.max) ? [{ type: 'scale', replicas }] : [];
}

const rolloutOf = ({ revision }: Revision, { platform }: NativeObservation): PlatformRollout | undefined =>
  platform.rollout?.revision === revision ? platform.rollout : undefined;

/** Where the engine is or goes; undefined when it goes nowhere. */
function headingOf(rollout: PlatformRollout | undefined): number | undefined {
  if (!rollout || rollout.phase === 'failed') return undefined;
  return rollout.phase === 'rolling-back' || rollout.phase === 'rolled-back'
    ? rollout.from
    : rollout.revision;
}

const isThere = (rollout: PlatformRollout | undefined) =>
  rollout?.phase === 'succeeded' || rollout?.phase === 'rolled-back';
