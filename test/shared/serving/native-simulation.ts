import type {
  PlatformRollout,
  ReplicaRange,
  RolloutObservation,
} from '../../../shared/ports/serving-platform.ts';
import type { Strategy } from '../../../shared/serving/endpoint-spec.ts';
import {
  advanceNative,
  type NativeAction,
  type NativeObservation,
} from '../../../shared/serving/native-rollout.ts';
import {
  type Firing,
  initialState,
  type RolloutEvent,
  type RolloutState,
  type Wish,
} from '../../../shared/serving/rollout.ts';

/** A platform that rolls out by itself, a step each time `progress` is called, and a clock, for the machine alone. */
export class NativeSimulation {
  now = 1_000_000;
  state: RolloutState = initialState({ lastRevision: 0, lastRollout: 0 });
  wish: Wish;
  replicas: ReplicaRange = { min: 1, max: 1 };
  firing: Firing[] = [];
  events: RolloutEvent[] = [];
  actions: NativeAction[] = [];
  /** Gets every step with the state before it. */
  watch: (before: RolloutState, after: RolloutState, event: RolloutEvent | undefined) => void = () => {};
  /** Versions whose replicas do not start. */
  broken = new Set<number>();
  /** Whether the engine heeds alarms itself. */
  heedsAlarms = false;

  rollout: PlatformRollout | undefined;
  set: ReplicaRange | undefined;
  strategy: Strategy | undefined;
  percent = 0;
  versions = new Map<number, number>();

  constructor(wish: Wish) {
    this.wish = wish;
  }

  /** Where the traffic is. */
  weights(): Record<number, number> {
    if (!this.rollout) return {};
    const { revision, from, phase } = this.rollout;
    if (phase === 'succeeded') return { [revision]: 100 };
    if (phase === 'rolled-back') return from === undefined ? {} : { [from]: 100 };
    if (from === undefined) return this.percent === 0 ? {} : { [revision]: 100 };
    return Object.fromEntries(
      [
        [revision, this.percent],
        [from, 100 - this.percent],
      ].filter(([, percent]) => percent !== 0),
    );
  }

  observation(): NativeObservation {
    const weights = this.weights();
    const platform: RolloutObservation = {
      weights,
      revisions: Object.keys(weights).map((revision) => ({
        revision: Number(revision),
        desired: 1,
        ready: 1,
        failures: 0,
      })),
      ...(this.rollout && { rollout: this.rollout }),
      ...(this.set && { replicas: this.set }),
    };
    return { wish: this.wish, firing: this.firing, replicas: this.replicas, platform };
  }

  reconcile(crashAfter = Number.POSITIVE_INFINITY): void {
    let left = crashAfter;
    for (let count = 0; count < 32; count++) {
      const before = this.state;
      const { state, actions, event } = advanceNative(before, this.observation(), this.now);
      this.state = state;
      if (state !== before) this.watch(before, state, event);
      if (event) this.events.push(event);
      for (const action of actions) {
        if (left-- <= 0) return;
        this.actions.push(action);
        this.apply(action);
      }
      if (state === before) return;
    }
    throw new Error('the machine does not come to rest under one observation');
  }

  apply(action: NativeAction): void {
    switch (action.type) {
      case 'roll-out': {
        const { revision, template } = action.revision;
        this.versions.set(revision, template.version);
        const from = this.heading();
        this.rollout = { revision, phase: 'in-progress', ...(from === undefined ? {} : { from }) };
        this.strategy = action.strategy;
        this.percent = 0;
        this.set ??= this.replicas;
        return;
      }
      case 'roll-back':
        if (this.rollout?.phase === 'in-progress') this.rollout = { ...this.rollout, phase: 'rolling-back' };
        return;
      case 'scale':
        this.set = action.replicas;
        return;
      case 'withdraw':
        this.rollout = undefined;
        this.set = undefined;
        this.percent = 0;
    }
  }

  heading(): number | undefined {
    if (!this.rollout || this.rollout.phase === 'failed') return undefined;
    const back = this.rollout.phase === 'rolling-back' || this.rollout.phase === 'rolled-back';
    return back ? this.rollout.from : this.rollout.revision;
  }

  /** The engine takes one step: starts replicas, moves traffic, bakes, ends. */
  progress(): void {
    const { rollout } = this;
    this.now += 60_000;
    if (!rollout) return;
    if (rollout.phase === 'rolling-back') {
      this.rollout = { ...rollout, phase: rollout.from === undefined ? 'failed' : 'rolled-back' };
      return;
    }
    if (rollout.phase !== 'in-progress') return;
    if (this.broken.has(this.versions.get(rollout.revision) ?? 0)) {
      const phase = rollout.from === undefined ? 'failed' : 'rolling-back';
      this.rollout = { ...rollout, phase, reason: 'tasks failed to start' };
      return;
    }
    const alarm = this.firing.find(({ revision }) => (revision ?? rollout.revision) === rollout.revision);
    if (this.heedsAlarms && alarm && rollout.from !== undefined && this.percent > 0) {
      this.rollout = { ...rollout, phase: 'rolling-back', reason: 'alarm detected', alarm: alarm.name };
      return;
    }
    if (this.percent === 100) this.rollout = { ...rollout, phase: 'succeeded' };
    else this.percent = this.strategy?.type === 'canary' && this.percent === 0 && rollout.from ? 10 : 100;
  }

  /** Lets the engine and the controller take turns. */
  pass(turns: number): void {
    for (let turn = 0; turn < turns; turn++) {
      this.progress();
      this.reconcile();
    }
  }

  fire(revision?: number): void {
    const name = `cairn/default/digits/${revision === undefined ? '' : `r${revision}/`}errorRate`;
    const own = revision === undefined ? {} : { revision };
    this.firing = [{ name, ...own, since: this.now, reason: 'too many errors', window: 0 }];
  }

  types(): string[] {
    return this.events.map(({ type }) => type);
  }
}
