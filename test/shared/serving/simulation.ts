import type { RevisionObservation, TrafficWeights } from '../../../shared/ports/serving-platform.ts';
import { parseEndpointSpec, type Strategy } from '../../../shared/serving/endpoint-spec.ts';
import {
  type Action,
  advance,
  type Firing,
  initialState,
  type Observation,
  type RolloutEvent,
  type RolloutState,
  type Wish,
} from '../../../shared/serving/rollout.ts';

export const RESOURCES = { cpu: 1, memoryMiB: 512 };

export const wishFor = (version: number, changes: Partial<Wish> = {}): Wish => {
  const { strategy, rollback } = parseEndpointSpec({ model: 'digits', target: { version } });
  return {
    generation: 1,
    template: { modelId: 'm', model: 'digits', version, resources: RESOURCES },
    replicas: 1,
    strategy,
    rollback,
    force: false,
    ...changes,
  };
};

export const canary: Strategy = { type: 'canary', canaryPercent: 10, canarySeconds: 60, bakeSeconds: 30 };
export const atOnce: Strategy = { type: 'all-at-once', bakeSeconds: 30 };

interface Running {
  desired: number;
  ready: number;
  failures: number;
  preparing?: boolean;
  preparedAt?: number;
}

type Seen = (step: {
  before: RolloutState;
  after: RolloutState;
  seen: Observation;
  actions: Action[];
  event?: RolloutEvent;
}) => void;

/** A platform and a clock for the machine alone: replicas get ready when `settle` is called, unless their version is broken. */
export class Simulation {
  now = 1_000_000;
  state: RolloutState = initialState({ lastRevision: 0, lastRollout: 0 });
  wish: Wish;
  firing: Firing[] = [];
  running = new Map<number, Running>();
  weights: TrafficWeights = {};
  /** Versions that never get ready. */
  broken = new Set<number>();
  events: RolloutEvent[] = [];
  watch: Seen;

  constructor(wish: Wish, watch: Seen = () => {}) {
    this.wish = wish;
    this.watch = watch;
  }

  observation(): Observation {
    const revisions: RevisionObservation[] = [...this.running].map(([revision, one]) => ({
      revision,
      ...one,
    }));
    return { wish: this.wish, firing: this.firing, platform: { revisions, weights: this.weights } };
  }

  /** What a reconcile does; `crashAfter` lets the controller die after so many actions. */
  reconcile(crashAfter = Number.POSITIVE_INFINITY): void {
    let left = crashAfter;
    for (let step = 0; step < 32; step++) {
      const before = this.state;
      const seen = this.observation();
      const { state, actions, event } = advance(before, seen, this.now);
      this.state = state;
      if (event) this.events.push(event);
      this.watch({ before, after: state, seen, actions, ...(event && { event }) });
      for (const action of actions) {
        if (left-- <= 0) return;
        this.apply(action);
      }
      if (state === before) return;
    }
    throw new Error('the machine does not come to rest under one observation');
  }

  apply(action: Action): void {
    switch (action.type) {
      case 'start': {
        const { revision } = action.revision;
        const old = this.running.get(revision);
        this.running.set(revision, {
          ready: Math.min(old?.ready ?? 0, action.replicas),
          failures: old?.failures ?? 0,
          desired: action.replicas,
        });
        this.versions.set(revision, action.revision.template.version);
        return;
      }
      case 'shift':
        for (const [revision, percent] of Object.entries(action.weights)) {
          if (percent > 0 && !this.running.has(Number(revision)))
            throw new Error(`r${revision} has not been started`);
        }
        this.weights = action.weights;
        return;
      case 'stop':
        this.running.delete(action.revision);
    }
  }

  versions = new Map<number, number>();

  /** Replicas get ready; those of broken versions fail once more. */
  settle(): void {
    for (const [revision, one] of this.running) {
      if (this.broken.has(this.versions.get(revision) ?? 0)) {
        one.failures += 1;
        one.ready = 0;
      } else one.ready = one.desired;
    }
  }

  /** Lets a second pass, replicas settle and the controller come by, for so many seconds. */
  pass(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      this.now += 1000;
      this.settle();
      this.reconcile();
    }
  }

  fire(revision?: number, window = 0): void {
    const name = revision === undefined ? 'errorRate' : `r${revision}/errorRate`;
    const own = revision === undefined ? {} : { revision };
    this.firing = [
      ...this.firing.filter((one) => one.name !== name),
      { name, ...own, since: this.now, reason: 'too many errors', window },
    ];
  }

  /** The machine's server died with all it ran. */
  crash(): void {
    this.running.clear();
    this.weights = {};
  }

  types(): string[] {
    return this.events.map(({ type }) => type);
  }
}
