import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  advance,
  candidateOf,
  nextDue,
  type Pair,
  READY_DEADLINE,
  weightsOf,
} from '../../../shared/serving/rollout.ts';
import { statusOf } from '../../../shared/serving/status.ts';
import { atOnce, canary, RESOURCES, Simulation, wishFor } from './simulation.ts';

/** An endpoint whose first revision, of version 1, has finished its bake. */
function served(changes: Parameters<typeof wishFor>[1] = {}): Simulation {
  const simulation = new Simulation(wishFor(1, { strategy: atOnce, ...changes }));
  simulation.reconcile();
  simulation.pass(40);
  expect(simulation.state.current?.template.version).toBe(1);
  simulation.events = [];
  return simulation;
}

/** The same with version 2 baked after it. */
function servedTwice(): Simulation {
  const simulation = served();
  want(simulation, 2, { strategy: atOnce });
  simulation.pass(40);
  expect(simulation.state.current?.template.version).toBe(2);
  simulation.events = [];
  return simulation;
}

function want(simulation: Simulation, version: number, changes: Parameters<typeof wishFor>[1] = {}): void {
  simulation.wish = wishFor(version, { generation: simulation.wish.generation + 1, ...changes });
  simulation.reconcile();
}

describe('a rollout', () => {
  test('gives a first revision all traffic once it is ready, and calls it good after its bake', () => {
    const simulation = new Simulation(wishFor(1, { strategy: atOnce }));
    simulation.reconcile();
    expect(simulation.weights).toEqual({});
    simulation.pass(1);
    expect(simulation.weights).toEqual({ 1: 100 });
    expect(simulation.state.motion.phase).toBe('baking');
    simulation.pass(30);
    expect(simulation.state.current).toMatchObject({ revision: 1, good: true });
    expect(simulation.types()).toEqual(['rollout-started', 'traffic-shifted', 'rolled-out']);
  });

  test('gives a canary its percent, then everything, then the endpoint', () => {
    const simulation = served();
    want(simulation, 2, { strategy: canary });
    simulation.pass(1);
    expect(simulation.weights).toEqual({ 1: 90, 2: 10 });
    simulation.pass(60);
    expect(simulation.weights).toEqual({ 2: 100 });
    expect(simulation.running.has(1)).toBe(true);
    simulation.pass(30);
    expect(simulation.state.current).toMatchObject({ revision: 2, good: true });
    expect(simulation.state.previous).toMatchObject({ revision: 1 });
  });

  test('waits until every replica of the candidate is ready', () => {
    const simulation = served({ replicas: 2 });
    want(simulation, 2, { replicas: 2, strategy: atOnce });
    const candidate = simulation.running.get(2);
    if (candidate) candidate.ready = 1;
    simulation.reconcile();
    expect(simulation.weights).toEqual({ 1: 100 });
  });

  test('is given up when the candidate fails three times, without ever having shifted', () => {
    const simulation = served();
    simulation.broken.add(2);
    want(simulation, 2);
    simulation.pass(3);
    expect(simulation.types()).toEqual(['rollout-started', 'rollout-failed']);
    expect(simulation.weights).toEqual({ 1: 100 });
    expect([...simulation.running.keys()]).toEqual([1]);
  });

  test('is given up when the candidate is not ready by the deadline', () => {
    const simulation = served();
    want(simulation, 2);
    simulation.now += READY_DEADLINE;
    simulation.reconcile();
    expect(simulation.types()).toEqual(['rollout-started', 'rollout-failed']);
  });

  test('has the whole deadline after what its replicas stand on was made', () => {
    const simulation = served();
    want(simulation, 2);
    const candidate = simulation.running.get(2) ?? { desired: 1, ready: 0, failures: 0 };
    const progress = () => {
      const { conditions } = statusOf(simulation.state, simulation.observation(), { now: simulation.now });
      return conditions.find(({ type }) => type === 'Progressing')?.reason;
    };
    expect(progress()).toBe('Starting');
    candidate.preparing = true;
    expect(progress()).toBe('Preparing');
    simulation.now += 2 * READY_DEADLINE;
    simulation.reconcile();
    expect(simulation.types()).toEqual(['rollout-started']);
    candidate.preparing = false;
    candidate.preparedAt = simulation.now;
    simulation.now += READY_DEADLINE - 1;
    simulation.reconcile();
    expect(simulation.types()).toEqual(['rollout-started']);
    simulation.now += 1;
    simulation.reconcile();
    expect(simulation.types()).toEqual(['rollout-started', 'rollout-failed']);
  });

  test('of a first revision that fails leaves nothing running and is not tried again', () => {
    const simulation = new Simulation(wishFor(1));
    simulation.broken.add(1);
    simulation.reconcile();
    simulation.pass(1000);
    expect(simulation.running.size).toBe(0);
    expect(simulation.types()).toEqual(['rollout-started', 'rollout-failed']);
  });

  test('keeps the revision before for as long as asked, then stops it and can still go back to it', () => {
    const simulation = servedTwice();
    simulation.pass(600);
    expect([...simulation.running.keys()]).toEqual([2]);
    simulation.fire(2);
    simulation.reconcile();
    expect(simulation.state.motion.phase).toBe('rolling-back');
    expect(simulation.weights).toEqual({ 2: 100 });
    simulation.pass(1);
    expect(simulation.weights).toEqual({ 1: 100 });
    expect([...simulation.running.keys()]).toEqual([1]);
    expect(simulation.types()).toEqual(['rollback-started', 'rolled-back']);
  });

  test('is superseded by a newer wish: the traffic goes back, the candidate stops, the new one starts', () => {
    const simulation = served();
    want(simulation, 2, { strategy: canary });
    simulation.pass(1);
    want(simulation, 3, { strategy: canary });
    expect(simulation.weights).toEqual({ 1: 100 });
    expect([...simulation.running.keys()]).toEqual([1, 3]);
    expect(simulation.types()).toEqual([
      'rollout-started',
      'traffic-shifted',
      'rollout-superseded',
      'rollout-started',
    ]);
  });

  test('of a first revision that is superseded while it serves goes on serving', () => {
    const simulation = new Simulation(wishFor(1, { strategy: atOnce }));
    simulation.reconcile();
    simulation.pass(1);
    want(simulation, 2, { strategy: atOnce });
    expect(simulation.weights).toEqual({ 1: 100 });
    simulation.pass(40);
    expect(simulation.state.current).toMatchObject({ revision: 2, good: true });
    expect(simulation.state.previous).toBeUndefined();
  });

  test('is not superseded in favour of a revision that does not answer', () => {
    const simulation = served();
    want(simulation, 2, { strategy: atOnce });
    simulation.pass(5);
    simulation.broken.add(1);
    simulation.pass(1);
    want(simulation, 3, { strategy: atOnce });
    expect(simulation.weights).toEqual({ 2: 100 });
    simulation.broken.clear();
    simulation.pass(1);
    expect(simulation.weights).toEqual({ 1: 100 });
    expect(simulation.running.has(3)).toBe(true);
  });

  test('is not needed to change the number of replicas', () => {
    const simulation = served();
    want(simulation, 1, { replicas: 3 });
    expect(simulation.running.get(1)?.desired).toBe(3);
    expect(simulation.events).toEqual([]);
    expect(simulation.state.lastRevision).toBe(1);
  });

  test('is needed when resources change', () => {
    const simulation = served();
    const template = {
      modelId: 'm',
      model: 'digits',
      version: 1,
      resources: { ...RESOURCES, memoryMiB: 1024 },
    };
    want(simulation, 1, { template, strategy: atOnce });
    simulation.pass(40);
    expect(simulation.state.current?.revision).toBe(2);
  });

  test('does not begin while an alarm is on, unless forced', () => {
    const simulation = served();
    simulation.fire();
    want(simulation, 2);
    expect(candidateOf(simulation.state)).toBeUndefined();
    want(simulation, 2, { force: true, strategy: atOnce });
    simulation.pass(40);
    expect(simulation.state.current?.revision).toBe(2);
  });

  test('watches anew after the candidate was away', () => {
    const simulation = served();
    want(simulation, 2, { strategy: atOnce });
    simulation.pass(29);
    simulation.crash();
    simulation.now += 60_000;
    simulation.reconcile();
    simulation.pass(20);
    expect(simulation.state.motion.phase).toBe('baking');
    simulation.pass(20);
    expect(simulation.state.motion.phase).toBe('idle');
  });
});

describe('a rollback', () => {
  test.each([
    ['the endpoint', undefined],
    ['the candidate', 2],
  ])('takes the traffic from a canary first and then stops it when an alarm of %s fires', (_, revision) => {
    const simulation = served();
    want(simulation, 2, { strategy: canary });
    simulation.pass(10);
    simulation.fire(revision);
    const { actions } = advance(simulation.state, simulation.observation(), simulation.now);
    expect(actions).toEqual([
      { type: 'shift', weights: { 1: 100 } },
      { type: 'stop', revision: 2 },
    ]);
    simulation.reconcile();
    expect(simulation.state.lastRollback).toMatchObject({
      from: { revision: 2, version: 2 },
      to: { revision: 1, version: 1 },
      reason: 'too many errors',
    });
  });

  test('during a canary is not caused by the current revision’s own alarm', () => {
    const simulation = served();
    want(simulation, 2, { strategy: canary });
    simulation.pass(10);
    simulation.fire(1);
    simulation.reconcile();
    expect(simulation.state.motion.phase).toBe('canary');
  });

  test('happens during the bake', () => {
    const simulation = served();
    want(simulation, 2, { strategy: atOnce });
    simulation.pass(10);
    simulation.fire(2);
    simulation.reconcile();
    expect(simulation.weights).toEqual({ 1: 100 });
  });

  test('happens when a candidate with traffic dies three times', () => {
    const simulation = served();
    want(simulation, 2, { strategy: atOnce });
    simulation.pass(3);
    simulation.broken.add(2);
    simulation.pass(3);
    expect(simulation.weights).toEqual({ 1: 100 });
    expect(simulation.types().at(-1)).toBe('rolled-back');
  });

  test('is instant while the revision before is kept', () => {
    const simulation = servedTwice();
    simulation.fire(2);
    simulation.reconcile();
    expect(simulation.weights).toEqual({ 1: 100 });
    expect(simulation.types()).toEqual(['rolled-back']);
  });

  test('sticks: the pair is not tried again until the spec or the alias’ version changes', () => {
    const simulation = servedTwice();
    simulation.fire(2);
    simulation.pass(1000);
    simulation.firing = [];
    simulation.pass(1000);
    expect(simulation.types()).toEqual(['rolled-back']);
    want(simulation, 2, { strategy: atOnce });
    simulation.pass(40);
    expect(simulation.state.current?.template.version).toBe(2);
  });

  test('leads to a revision that the next rollback can lead to again', () => {
    const simulation = servedTwice();
    simulation.fire(2);
    simulation.reconcile();
    simulation.firing = [];
    want(simulation, 3, { strategy: atOnce });
    simulation.pass(40);
    expect(simulation.state).toMatchObject({ current: { revision: 3 }, previous: { revision: 1 } });
    simulation.fire(3);
    simulation.reconcile();
    expect(simulation.weights).toEqual({ 1: 100 });
  });

  test('is asked for by a person during a rollout and after it', () => {
    const simulation = servedTwice();
    want(simulation, 3, { strategy: canary });
    simulation.pass(5);
    const requested = { by: 'ada', reason: 'wrong model' };
    simulation.state = { ...simulation.state, requested };
    simulation.reconcile();
    expect(simulation.state.current?.revision).toBe(2);
    expect(simulation.state.lastRollback).toMatchObject(requested);
    simulation.state = { ...simulation.state, requested };
    simulation.reconcile();
    expect(simulation.state.current?.revision).toBe(1);
    simulation.pass(1000);
    expect(simulation.state.current?.revision).toBe(1);
  });

  test('is not repeated by the endpoint’s alarm that looks back on the traffic of the revision that went', () => {
    const simulation = servedTwice();
    want(simulation, 3, { strategy: atOnce });
    simulation.pass(5);
    simulation.fire(3);
    simulation.pass(2);
    simulation.fire(undefined, 60_000);
    simulation.pass(100);
    expect(simulation.state.current?.revision).toBe(2);
  });

  test('does not happen when the spec says so', () => {
    const simulation = served();
    want(simulation, 2, { strategy: atOnce, rollback: { onAlarm: false, keepPreviousSeconds: 600 } });
    simulation.pass(5);
    simulation.fire(2);
    simulation.pass(40);
    expect(simulation.state.current?.revision).toBe(2);
  });

  test('that waits for a revision gives way to a newer wish', () => {
    const simulation = servedTwice();
    simulation.pass(700);
    simulation.broken.add(1);
    simulation.state = { ...simulation.state, requested: { by: 'ada', reason: 'wrong model' } };
    simulation.pass(5);
    expect(simulation.state.motion.phase).toBe('rolling-back');
    want(simulation, 3, { strategy: atOnce });
    simulation.pass(40);
    expect(simulation.state.current?.template.version).toBe(3);
  });
});

test('after a crash of everything, what served is started again with its weights and without a new rollout', () => {
  const simulation = servedTwice();
  simulation.crash();
  simulation.reconcile();
  expect(simulation.weights).toEqual({ 2: 100 });
  expect(simulation.running.get(2)?.desired).toBe(1);
  expect(simulation.events).toEqual([]);
});

test('an endpoint at rest asks for nothing and for no further call', () => {
  const simulation = servedTwice();
  simulation.pass(700);
  const { state, actions } = advance(simulation.state, simulation.observation(), simulation.now);
  expect(state).toBe(simulation.state);
  expect(actions).toEqual([]);
  expect(nextDue(state, simulation.observation(), simulation.now)).toBeUndefined();
});

const command = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 70 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('jump' as const), seconds: fc.integer({ min: 100, max: 5000 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('spec' as const),
      version: fc.integer({ min: 1, max: 4 }),
      replicas: fc.integer({ min: 1, max: 2 }),
      strategy: fc.constantFrom(atOnce, canary),
      force: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('alias' as const), version: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('undeployable' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('alarm' as const),
      of: fc.constantFrom('endpoint', 'candidate', 'current'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('break' as const), version: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('mend' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('die' as const), after: fc.integer({ min: 0, max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('rollback' as const) }) },
);

test('whatever happens: one current revision, whole weights, a way back, no rejected pair again, and an end', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
      let rejected: Pair | undefined;
      let newest = 0;
      const simulation: Simulation = new Simulation(
        wishFor(1, { strategy: atOnce }),
        ({ before, after, seen, actions, event }) => {
          const weights = weightsOf(after);
          const percents = Object.values(weights);
          const total = percents.reduce((sum, percent) => sum + percent, 0);
          expect([0, 100]).toContain(total);
          if (Object.keys(weightsOf(before)).length > 0) expect(total).toBe(100);
          const servedBefore = weightsOf(before);
          for (const [revision, percent] of Object.entries(weights)) {
            const ready =
              seen.platform.revisions.find((one) => one.revision === Number(revision))?.ready ?? 0;
            if (percent > 0 && ready === 0) expect(servedBefore[Number(revision)]).toBeGreaterThan(0);
          }
          const again = advance(before, seen, simulation.now);
          expect(again).toEqual({ state: after, actions, ...(event && { event }) });
          if (event?.type === 'rollout-started' && event.to.revision > before.lastRevision) {
            expect(event.to.revision).toBeGreaterThan(newest);
            newest = event.to.revision;
            expect({ generation: event.to.generation, version: event.to.template.version }).not.toEqual(
              rejected,
            );
          }
          if (event?.type === 'rolled-back' || event?.type === 'rollout-failed') rejected = after.rejected;
          const wanted = { generation: seen.wish.generation, version: seen.wish.template?.version };
          if (wanted.version !== undefined && wanted.generation !== rejected?.generation)
            rejected = undefined;
          else if (wanted.version !== undefined && wanted.version !== rejected?.version) rejected = undefined;
        },
      );
      const checkWayBack = () => {
        const { motion, current } = simulation.state;
        if ((motion.phase === 'canary' || motion.phase === 'baking') && current) {
          expect(simulation.running.get(current.revision)?.desired).toBe(simulation.wish.replicas);
        }
      };
      simulation.reconcile();
      for (const step of commands) {
        switch (step.do) {
          case 'wait':
            simulation.pass(step.seconds);
            break;
          case 'jump':
            simulation.now += step.seconds * 1000;
            break;
          case 'spec':
            simulation.wish = wishFor(step.version, { ...step, generation: simulation.wish.generation + 1 });
            break;
          case 'alias':
            simulation.wish = { ...simulation.wish, template: wishFor(step.version).template };
            break;
          case 'undeployable':
            simulation.wish = { ...simulation.wish, template: undefined };
            break;
          case 'alarm': {
            simulation.now += 1;
            const { current } = simulation.state;
            const of = { endpoint: undefined, candidate: candidateOf(simulation.state), current }[step.of];
            simulation.fire(of?.revision);
            break;
          }
          case 'clear':
            simulation.firing = [];
            break;
          case 'break':
            simulation.broken.add(step.version);
            break;
          case 'mend':
            simulation.broken.clear();
            break;
          case 'crash':
            simulation.crash();
            break;
          case 'die':
            simulation.reconcile(step.after);
            break;
          case 'rollback':
            simulation.state = { ...simulation.state, requested: { by: 'ada', reason: 'asked' } };
            break;
        }
        simulation.reconcile();
        checkWayBack();
      }
      simulation.firing = [];
      simulation.broken.clear();
      if (simulation.wish.template === undefined)
        simulation.wish = wishFor(1, { generation: simulation.wish.generation + 1 });
      simulation.pass(800);
      const { motion, current, rejected: pair } = simulation.state;
      expect(motion.phase).toBe('idle');
      const wanted = { generation: simulation.wish.generation, version: simulation.wish.template?.version };
      if (pair?.generation !== wanted.generation || pair.version !== wanted.version) {
        expect(current?.template.version).toBe(wanted.version);
      }
      const rest = advance(simulation.state, simulation.observation(), simulation.now);
      expect(rest.actions).toEqual([]);
      expect(rest.state).toBe(simulation.state);
      if (current) expect(simulation.weights).toEqual({ [current.revision]: 100 });
    }),
    { numRuns: 400 },
  );
}, 120_000);
