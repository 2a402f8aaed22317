import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { advanceNative } from '../../../shared/serving/native-rollout.ts';
import {
  candidateOf,
  neededRevisions,
  type Pair,
  wayBack,
  weightsOf,
} from '../../../shared/serving/rollout.ts';
import { NativeSimulation } from './native-simulation.ts';
import { atOnce, canary, wishFor } from './simulation.ts';

function want(simulation: NativeSimulation, version: number, changes: Parameters<typeof wishFor>[1] = {}) {
  simulation.wish = wishFor(version, { generation: simulation.wish.generation + 1, ...changes });
  simulation.reconcile();
}

/** An endpoint whose revision 1, of version 1, finished its bake; and revision 2 of version 2 after it, if asked. */
function served(times: 1 | 2 = 1): NativeSimulation {
  const simulation = new NativeSimulation(wishFor(1, { strategy: atOnce }));
  simulation.reconcile();
  simulation.pass(3);
  if (times === 2) {
    want(simulation, 2, { strategy: atOnce });
    simulation.pass(3);
  }
  expect(simulation.state.current).toMatchObject({ revision: times, good: true });
  simulation.events = [];
  simulation.actions = [];
  return simulation;
}

describe('a rollout by the platform itself', () => {
  test('is ordered once and followed until the platform says that it succeeded', () => {
    const simulation = served();
    want(simulation, 2, { strategy: canary });
    simulation.reconcile();
    expect(simulation.actions).toMatchObject([
      { type: 'roll-out', revision: { revision: 2 }, strategy: canary, watched: true },
    ]);
    simulation.pass(1);
    expect(weightsOf(simulation.state)).toEqual({ 1: 90, 2: 10 });
    simulation.pass(1);
    expect(simulation.state.motion.phase).toBe('baking');
    simulation.pass(1);
    expect(simulation.state).toMatchObject({
      current: { revision: 2, good: true },
      previous: { revision: 1 },
    });
    expect(simulation.types()).toEqual([
      'rollout-started',
      'traffic-shifted',
      'traffic-shifted',
      'rolled-out',
    ]);
    expect(simulation.actions).toHaveLength(1);
  });

  test('takes no number that runs already, where the table was restored to before it', () => {
    const simulation = served();
    const before = simulation.state;
    want(simulation, 2, { strategy: atOnce });
    simulation.pass(3);
    expect(simulation.rollout).toMatchObject({ revision: 2, phase: 'succeeded' });
    simulation.state = before;
    simulation.events = [];
    want(simulation, 3, { strategy: atOnce });
    expect(simulation.events).toMatchObject([{ type: 'rollout-started', to: { revision: 3 } }]);
    simulation.pass(3);
    expect(simulation.state.current).toMatchObject({ revision: 3, template: { version: 3 } });
  });

  test('tells the share that the platform gives, whatever the strategy says', () => {
    const simulation = served();
    want(simulation, 2, { strategy: { type: 'linear', stepPercent: 20, stepSeconds: 60, bakeSeconds: 60 } });
    simulation.percent = 40;
    simulation.reconcile();
    expect(weightsOf(simulation.state)).toEqual({ 1: 60, 2: 40 });
    simulation.percent = 60;
    simulation.reconcile();
    expect(weightsOf(simulation.state)).toEqual({ 1: 40, 2: 60 });
  });

  test('whose replicas do not start is given up and not tried again', () => {
    const simulation = served();
    simulation.broken.add(2);
    want(simulation, 2);
    simulation.pass(5);
    expect(simulation.types()).toEqual(['rollout-started', 'rollout-failed']);
    expect(simulation.state).toMatchObject({
      current: { revision: 1 },
      lastFailure: { reason: 'tasks failed to start' },
    });
    expect(simulation.actions).toHaveLength(1);
  });

  test('of a first revision that fails leaves nothing', () => {
    const simulation = new NativeSimulation(wishFor(1));
    simulation.broken.add(1);
    simulation.reconcile();
    simulation.pass(5);
    expect(simulation.rollout).toBeUndefined();
    expect(simulation.actions.map(({ type }) => type)).toEqual(['roll-out', 'withdraw']);
  });

  test('is rolled back when an alarm says so, with its reason, and then left alone', () => {
    const simulation = served();
    want(simulation, 2, { strategy: canary });
    simulation.pass(1);
    simulation.now += 1;
    simulation.fire(2);
    simulation.reconcile();
    expect(simulation.rollout?.phase).toBe('rolling-back');
    expect(simulation.state.motion.phase).toBe('rolling-back');
    simulation.pass(5);
    expect(simulation.types().slice(-2)).toEqual(['rollback-started', 'rolled-back']);
    expect(simulation.state).toMatchObject({
      current: { revision: 1 },
      lastRollback: { reason: 'too many errors', alarm: 'cairn/default/digits/r2/errorRate' },
      rejected: { generation: 2, version: 2 },
    });
    expect(simulation.actions.map(({ type }) => type)).toEqual(['roll-out', 'roll-back']);
  });

  test('that the platform itself took back for an alarm tells the alarm’s own reason', () => {
    const simulation = served();
    simulation.heedsAlarms = true;
    want(simulation, 2, { strategy: canary, rollback: { onAlarm: false, keepPreviousSeconds: 0 } });
    simulation.pass(1);
    simulation.fire(2);
    simulation.pass(3);
    expect(simulation.state.lastRollback).toMatchObject({
      reason: 'too many errors',
      by: 'system:on-alarm',
      alarm: 'cairn/default/digits/r2/errorRate',
    });
  });

  test('that is rolled back by a person in the midst of it goes back by the platform’s own way', () => {
    const simulation = served();
    want(simulation, 2, { strategy: canary });
    simulation.pass(1);
    simulation.state = { ...simulation.state, requested: { by: 'ada', reason: 'looks odd' } };
    simulation.reconcile();
    simulation.pass(1);
    expect(simulation.actions.map(({ type }) => type)).toEqual(['roll-out', 'roll-back']);
    expect(simulation.state.lastRollback).toMatchObject({
      by: 'ada',
      from: { revision: 2 },
      to: { revision: 1 },
    });
  });

  test('gives way to a newer wish without going back first', () => {
    const simulation = served();
    want(simulation, 2, { strategy: canary });
    simulation.pass(1);
    want(simulation, 3, { strategy: canary });
    expect(simulation.actions.map(({ type }) => type)).toEqual(['roll-out', 'roll-out']);
    simulation.pass(4);
    expect(simulation.state).toMatchObject({ current: { revision: 3 }, previous: { revision: 1 } });
  });

  test('changes how many replicas there are without a rollout', () => {
    const simulation = served();
    simulation.replicas = { min: 2, max: 6 };
    simulation.reconcile();
    simulation.reconcile();
    expect(simulation.actions).toEqual([{ type: 'scale', replicas: { min: 2, max: 6 } }]);
    expect(simulation.events).toEqual([]);
  });
});

describe('after its bake', () => {
  test('an alarm brings the revision before back, at once and unwatched', () => {
    const simulation = served(2);
    simulation.now += 1;
    simulation.fire(2);
    simulation.reconcile();
    expect(simulation.actions).toMatchObject([
      {
        type: 'roll-out',
        revision: { revision: 1 },
        strategy: { type: 'all-at-once', bakeSeconds: 0 },
        watched: false,
      },
    ]);
    expect(simulation.state.motion.phase).toBe('rolling-back');
    simulation.pass(5);
    expect(simulation.types()).toEqual(['rollback-started', 'rolled-back']);
    expect(simulation.state).toMatchObject({ current: { revision: 1, good: true } });
    expect(simulation.actions).toHaveLength(1);
  });

  test('a way back that fails is tried again', () => {
    const simulation = served(2);
    simulation.broken.add(1);
    simulation.now += 1;
    simulation.fire(2);
    simulation.reconcile();
    simulation.pass(2);
    simulation.broken.clear();
    simulation.pass(4);
    expect(simulation.state).toMatchObject({ current: { revision: 1 }, motion: { phase: 'idle' } });
  });

  test('a way back that fails is left for another version that is wanted, not before', () => {
    const simulation = served(2);
    simulation.broken.add(1);
    simulation.now += 1;
    simulation.fire(2);
    simulation.reconcile();
    simulation.firing = [];
    want(simulation, 3, { strategy: atOnce });
    expect(simulation.state.motion.phase).toBe('rolling-back');
    simulation.pass(5);
    expect(simulation.state).toMatchObject({
      current: { revision: 3, good: true },
      motion: { phase: 'idle' },
    });
  });

  test('an alarm changes nothing where the spec does not want it to', () => {
    const simulation = served(2);
    simulation.wish = { ...simulation.wish, rollback: { onAlarm: false, keepPreviousSeconds: 0 } };
    simulation.now += 1;
    simulation.fire(2);
    simulation.pass(3);
    expect(simulation.actions).toEqual([]);
  });
});

type Happening =
  | { what: 'want'; version: number; canary: boolean }
  | { what: 'progress' | 'reconcile' | 'ask-back' | 'quiet' }
  | { what: 'fire'; ofCandidate: boolean }
  | { what: 'crash'; after: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant('want' as const),
      version: fc.integer({ min: 1, max: 4 }),
      canary: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.constant({ what: 'progress' as const }) },
  { weight: 4, arbitrary: fc.constant({ what: 'reconcile' as const }) },
  fc.record({ what: fc.constant('ask-back' as const) }),
  fc.record({ what: fc.constant('quiet' as const) }),
  fc.record({ what: fc.constant('fire' as const), ofCandidate: fc.boolean() }),
  fc.record({ what: fc.constant('crash' as const), after: fc.integer({ min: 0, max: 1 }) }),
);

function happens(simulation: NativeSimulation, it: Happening): void {
  simulation.now += 1000;
  switch (it.what) {
    case 'want':
      want(simulation, it.version, { strategy: it.canary ? canary : atOnce });
      return;
    case 'progress':
      simulation.progress();
      return;
    case 'reconcile':
      simulation.reconcile();
      return;
    case 'ask-back':
      simulation.state = { ...simulation.state, requested: { by: 'ada', reason: 'asked' } };
      return;
    case 'quiet':
      simulation.firing = [];
      return;
    case 'fire': {
      const one = it.ofCandidate ? candidateOf(simulation.state) : simulation.state.current;
      simulation.fire(one?.revision);
      return;
    }
    case 'crash':
      simulation.reconcile(it.after);
  }
}

describe('whatever happens', () => {
  const run = (check: (happenings: Happening[], broken: number[], heeds: boolean) => void) =>
    fc.assert(
      fc.property(
        fc.array(happening, { maxLength: 60 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 4 }), { maxLength: 2 }),
        fc.boolean(),
        check,
      ),
      { numRuns: 1000 },
    );
  const start = (broken: number[], heeds: boolean) => {
    const simulation = new NativeSimulation(wishFor(1, { strategy: atOnce }));
    simulation.broken = new Set(broken);
    simulation.heedsAlarms = heeds;
    simulation.reconcile();
    return simulation;
  };

  test('a rollback sticks: what was rejected is not tried again until generation or version is another', () =>
    run((happenings, broken, heeds) => {
      const simulation = start(broken, heeds);
      simulation.watch = ({ rejected }, _, event) => {
        if (event?.type !== 'rollout-started') return;
        const pair: Pair = { generation: event.to.generation, version: event.to.template.version };
        expect(pair).not.toEqual(rejected);
      };
      for (const it of happenings) happens(simulation, it);
    }));

  test('an alarm of a candidate with traffic undoes it, as long as there is a way back', () =>
    run((happenings, broken, heeds) => {
      const simulation = start(broken, heeds);
      for (const it of happenings) {
        happens(simulation, it);
        const candidate = candidateOf(simulation.state);
        if (!candidate || simulation.state.motion.phase === 'starting' || !wayBack(simulation.state))
          continue;
        simulation.now += 1;
        simulation.fire(candidate.revision);
        simulation.reconcile();
        expect(candidateOf(simulation.state)?.revision).not.toBe(candidate.revision);
        expect(simulation.state.current?.revision).not.toBe(candidate.revision);
        expect(simulation.heading()).not.toBe(candidate.revision);
      }
    }));

  test('the engine is sent nowhere but to what the endpoint needs', () =>
    run((happenings, broken, heeds) => {
      const simulation = start(broken, heeds);
      for (const it of happenings) {
        happens(simulation, it);
        simulation.reconcile();
        const known = neededRevisions(simulation.state).map(({ revision }) => revision);
        const heading = simulation.heading();
        if (heading !== undefined) expect(known).toContain(heading);
      }
    }));

  test('only what finished its bake is gone back to', () =>
    run((happenings, broken, heeds) => {
      const simulation = start(broken, heeds);
      for (const it of happenings) {
        happens(simulation, it);
        const good = simulation.events.flatMap((event) =>
          event.type === 'rolled-out' ? [event.to.revision] : [],
        );
        const { previous, current } = simulation.state;
        if (previous) expect(good).toContain(previous.revision);
        if (current?.good) expect(good).toContain(current.revision);
      }
    }));

  test('looking again changes nothing and orders nothing', () =>
    run((happenings, broken, heeds) => {
      const simulation = start(broken, heeds);
      for (const it of happenings) happens(simulation, it);
      simulation.reconcile();
      const { state, actions } = advanceNative(simulation.state, simulation.observation(), simulation.now);
      expect(state).toBe(simulation.state);
      expect(actions).toEqual([]);
    }));

  test('when it calms down, a version that works is served', () =>
    run((happenings, broken, heeds) => {
      const simulation = start(broken, heeds);
      for (const it of happenings) happens(simulation, it);
      simulation.firing = [];
      simulation.broken.clear();
      simulation.state = { ...simulation.state, requested: undefined };
      simulation.pass(10);
      want(simulation, 5, { strategy: canary });
      simulation.pass(10);
      expect(simulation.state.motion.phase).toBe('idle');
      expect(simulation.state.current).toMatchObject({ good: true, template: { version: 5 } });
      expect(simulation.weights()).toEqual({ [simulation.state.current?.revision ?? 0]: 100 });
    }));
});
