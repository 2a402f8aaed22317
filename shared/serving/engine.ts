import { parseAlarmName } from '../monitoring/endpoint-alarms.ts';
import type { Ports } from '../ports/ports.ts';
import type {
  EndpointRef,
  ReplicaRange,
  RolloutPlatform,
  ServingPlatform,
  SteppedPlatform,
} from '../ports/serving-platform.ts';
import { advanceNative, type NativeAction, nextDueNative } from './native-rollout.ts';
import { filesToken } from './revision-files.ts';
import {
  type Action,
  advance,
  type Firing,
  nextDue,
  type Observation,
  type Revision,
  type RolloutEvent,
  type RolloutState,
  type Wish,
} from './rollout.ts';
import type { VersionSource } from './version-source.ts';

/** What a rollout machine decides on besides its state and what the platform shows. */
export interface Situation {
  readonly wish: Wish;
  readonly replicas: ReplicaRange;
  readonly firing: readonly Firing[];
  /** Names of the endpoint's alarms and of its revisions'. */
  readonly alarms: readonly string[];
  readonly now: number;
}

export interface EngineStep {
  readonly state: RolloutState;
  readonly event?: RolloutEvent;
  readonly seen: Observation;
  /** To be done before the step is on record, in this order; and after it. */
  readonly urgent: readonly Task[];
  readonly tasks: readonly Task[];
  /** When to come again although nothing has told to, milliseconds since the epoch. */
  readonly next: number | undefined;
}

type Task = () => Promise<void>;

/** A platform with the rollout machine that drives it: observes, and says what comes next and what is to be done for it. */
export type Engine = (ref: EndpointRef, state: RolloutState, situation: Situation) => Promise<EngineStep>;

export type EngineDeps = Pick<Ports, 'table' | 'clock' | 'bus' | 'keys'> & {
  readonly platform: ServingPlatform;
  readonly versions: VersionSource;
};

export function engineFor({ platform, ...deps }: EngineDeps): Engine {
  return platform.kind === 'stepped' ? steppedEngine(deps, platform) : nativeEngine(deps, platform);
}

type Deps = Omit<EngineDeps, 'platform'>;

function steppedEngine({ versions }: Deps, platform: SteppedPlatform): Engine {
  return async (ref, before, { wish, firing, now }) => {
    const seen = { wish, firing, platform: await platform.observe(ref) };
    const { state, actions, event } = advance(before, seen, now);
    // Traffic leaves a bad revision before that is on record: after a crash in between, the same alarm or request decides
    // the same again.
    const isUrgent = (action: Action) => event?.type === 'rolled-back' && action.type === 'shift';
    const task = (action: Action) => () => execute(action);
    return {
      state,
      ...(event && { event }),
      seen,
      urgent: actions.filter(isUrgent).map(task),
      tasks: actions.filter((action) => !isUrgent(action)).map(task),
      next: nextDue(state, seen, now),
    };

    async function execute(action: Action): Promise<void> {
      switch (action.type) {
        case 'start': {
          const template = await templateOf(versions, ref, action.revision);
          return platform.start({ ...template, replicas: action.replicas });
        }
        case 'shift':
          return platform.shift(ref, action.weights);
        case 'stop':
          return platform.stop(ref, action.revision);
      }
    }
  };
}

function nativeEngine(deps: Deps, platform: RolloutPlatform): Engine {
  return async (ref, before, { wish, replicas, firing, alarms, now }) => {
    const seen = { wish, firing, replicas, platform: await platform.observe(ref) };
    const { state, actions, event } = advanceNative(before, seen, now);
    const tasks = actions.map((action) => () => execute(action));
    return { state, ...(event && { event }), seen, urgent: [], tasks, next: nextDueNative(state, seen, now) };

    async function execute(action: NativeAction): Promise<void> {
      switch (action.type) {
        case 'roll-out': {
          const { revision, strategy, watched } = action;
          const concerns = (name: string) =>
            [undefined, revision.revision].includes(parseAlarmName(name)?.revision);
          return platform.rollOut({
            ...(await templateOf(deps.versions, ref, revision)),
            replicas,
            strategy,
            alarms: watched ? alarms.filter(concerns) : [],
            filesToken: () => filesToken(deps.keys, { ...ref, revision: revision.revision }),
          });
        }
        case 'roll-back':
          return platform.rollBack(ref);
        case 'scale':
          return platform.scale(ref, action.replicas);
        case 'withdraw':
          return platform.withdraw(ref);
      }
    }
  };
}

async function templateOf(versions: VersionSource, ref: EndpointRef, { revision, template }: Revision) {
  const { model, modelId, version, resources } = template;
  const files = await versions.listFiles(ref.workspace, modelId, version);
  return { ...ref, revision, model, version, files, resources };
}
