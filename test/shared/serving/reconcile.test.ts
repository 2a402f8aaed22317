import { afterEach, describe, expect, test, vi } from 'vitest';
import { onAlarm } from '../../../functions/on-alarm/handler.ts';
import { reconcile } from '../../../functions/reconcile/handler.ts';
import type { AlarmNotification } from '../../../shared/ports/alarm-service.ts';
import { deploy } from '../../../shared/serving/deploy.ts';
import {
  createEndpoint,
  deleteEndpoint,
  getEndpoint,
  listEndpoints,
  updateEndpoint,
} from '../../../shared/serving/endpoint.ts';
import { everyEndpoint } from '../../../shared/serving/every-endpoint.ts';
import { ON_ECS } from '../../../shared/serving/platform-offer.ts';
import { listRollouts, rollbackEndpoint } from '../../../shared/serving/rollback.ts';
import { ada, openServing, REF, viewer, WAIT } from './serving-fixture.ts';

let it: Awaited<ReturnType<typeof openServing>>;
afterEach(() => it.close());

const fast = { period: 10, evaluationPeriods: 1, datapointsToAlarm: 1 } as const;
const spec = (version: number, more: object = {}) => ({
  model: 'digits',
  target: { version },
  strategy: { type: 'all-at-once', bakeSeconds: 30 },
  alarms: { errorRate: fast, latencyP99: fast },
  ...more,
});
const canary = { strategy: { type: 'canary', canaryPercent: 20, canarySeconds: 60, bakeSeconds: 30 } };

const actions = () => it.events.map(({ type }) => type);
/** The status is there before the event of the same change has been told. */
const told = (type: string, count: number) =>
  vi.waitFor(() => expect(actions().filter((action) => action === type)).toHaveLength(count), WAIT);
const uses = async () =>
  (await it.table.query({ pk: 'model/m1', prefix: 'use/', limit: 100 })).items.map(({ sk }) => sk.slice(4));

/** An endpoint that serves version 1, baked. */
async function served(more: object = {}) {
  await createEndpoint(it.ports, ada, REF, spec(1, more));
  await it.until({ phase: 'baking' });
  it.pass(31);
  await it.until({ phase: 'idle', current: { revision: 1 } });
  await told('endpoint.rolled-out', 1);
}

/** Then version 2, baked as well. */
async function servedTwice(more: object = {}) {
  await served(more);
  await updateEndpoint(it.ports, ada, REF, spec(2, more));
  await it.until({ phase: 'baking' });
  it.pass(31);
  await it.until({ phase: 'idle', current: { revision: 2 } });
  await told('endpoint.rolled-out', 2);
}

describe('the controller', () => {
  test('rolls an endpoint out, answers requests and says so in status, history and audit', async () => {
    it = await openServing({ 1: {} });
    await served();
    const answer = await it.call(REF, 'v2/about');
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({ 'cairn-revision': '1', 'cairn-version': '1' });
    const status = await it.status();
    expect(status).toMatchObject({
      observedGeneration: 1,
      current: { revision: 1, version: 1, desired: 1, ready: 1 },
      traffic: [{ revision: 1, version: 1, percent: 100 }],
    });
    expect(status.conditions).toMatchObject([
      { type: 'Ready', status: true, reason: 'Serving' },
      { type: 'Progressing', status: false, reason: 'Steady' },
      { type: 'Degraded', status: false },
    ]);
    expect(actions()).toEqual([
      'endpoint.created',
      'endpoint.rollout-started',
      'endpoint.traffic-shifted',
      'endpoint.rolled-out',
    ]);
    expect((await listRollouts(it.ports, viewer, REF, { limit: 10 })).items).toMatchObject([
      { rollout: 1, kind: 'rollout', to: { revision: 1, version: 1 }, by: 'ada', outcome: 'succeeded' },
    ]);
    expect(await uses()).toEqual(['0000000001/default/digits/1']);
    expect((await it.alarms.describeAlarms('cairn/')).map(({ name }) => name)).toEqual([
      'cairn/default/digits/errorRate',
      'cairn/default/digits/latencyP99',
      'cairn/default/digits/r1/errorRate',
      'cairn/default/digits/r1/latencyP99',
    ]);
  });

  test('with nothing to do writes nothing and asks for no further call', async () => {
    it = await openServing({ 1: {} });
    await served();
    const before = await it.table.query({ pk: 'endpoint/default/digits', limit: 100 });
    expect(await reconcile(it.deps, REF, 'again')).toEqual({});
    expect(await it.table.query({ pk: 'endpoint/default/digits', limit: 100 })).toEqual(before);
  });

  test('gives a canary its share and tells of it', async () => {
    it = await openServing({ 1: {}, 2: {} });
    await served();
    await updateEndpoint(it.ports, ada, REF, spec(2, canary));
    await it.until({ phase: 'canary' });
    expect((await it.status()).traffic).toEqual([
      { revision: 1, version: 1, percent: 80 },
      { revision: 2, version: 2, percent: 20 },
    ]);
    it.pass(61);
    await it.until({ phase: 'baking' });
    it.pass(31);
    await it.until({ phase: 'idle', current: { version: 2 }, previous: { version: 1, ready: 1 } });
    expect(await uses()).toEqual(['0000000001/default/digits/1', '0000000002/default/digits/2']);
  });

  test('gives up a version that does not start, and stays where it is', async () => {
    it = await openServing({ 1: {}, 2: { kind: 'broken' } });
    await served();
    await updateEndpoint(it.ports, ada, REF, spec(2));
    await it.until({ phase: 'idle', rejected: { generation: 2, version: 2 }, current: { version: 1 } });
    const { conditions, lastFailure } = await it.status();
    expect(lastFailure).toMatchObject({ version: 2, reason: expect.stringContaining('exited with code 4') });
    expect(conditions).toMatchObject([
      { type: 'Ready', status: true },
      { type: 'Progressing', status: false, reason: 'RolloutFailed' },
      { type: 'Degraded', status: true, reason: 'Rejected' },
    ]);
    expect((await listRollouts(it.ports, ada, REF, { limit: 1 })).items).toMatchObject([
      { outcome: 'failed' },
    ]);
    expect(await uses()).toEqual(['0000000001/default/digits/1']);
    await vi.waitFor(async () => expect(await it.processes(REF)).toHaveLength(1), WAIT);
  });

  test('rolls out when the alias moves, and goes on when an approval comes', async () => {
    it = await openServing({ 1: { approval: 'APPROVED' }, 2: {} });
    it.aliases.set('champion', 1);
    await served({ target: { alias: 'champion' }, requireApproval: true });
    it.aliases.set('champion', 2);
    const moved = {
      id: '1',
      workspace: 'default',
      type: 'alias.moved',
      resource: 'model/m1',
      at: 0,
      data: {},
    };
    await it.ports.bus.publish(moved);
    await vi.waitFor(async () => {
      const { conditions } = await it.status();
      expect(conditions).toContainEqual(
        expect.objectContaining({ type: 'Progressing', reason: 'VERSION_NOT_APPROVED' }),
      );
    }, WAIT);
    it.versions.set(2, { status: 'READY', approval: 'APPROVED', kind: 'good' });
    await it.ports.bus.publish({ ...moved, type: 'version.approved' });
    await it.until({ phase: 'baking', candidate: { version: 2 } });
  });

  test('that lost its platform starts what served, with its weights and no new rollout', async () => {
    it = await openServing({ 1: {}, 2: {} });
    await servedTwice();
    const before = actions().length;
    await it.platform.withdraw(REF);
    it.wake();
    await vi.waitFor(
      async () => expect((await it.call(REF, 'ping')).headers['cairn-revision']).toBe('2'),
      WAIT,
    );
    expect((await it.platform.observe(REF)).weights).toEqual({ 2: 100 });
    expect(actions().slice(before)).toEqual([]);
  });

  test('stops what runs for an endpoint that is gone, and takes its alarms away', async () => {
    it = await openServing({ 1: {} });
    await served();
    await deleteEndpoint(it.ports, ada, REF, { reason: 'done' });
    await vi.waitFor(async () => expect(await it.processes(REF)).toEqual([]), WAIT);
    await vi.waitFor(async () => expect(await it.alarms.describeAlarms('cairn/')).toEqual([]), WAIT);
    expect(await uses()).toEqual([]);
    expect(await listEndpoints(it.ports, ada, { workspace: 'default', limit: 10 })).toEqual({ items: [] });
    await createEndpoint(it.ports, ada, REF, spec(1));
    await it.until({ phase: 'baking', candidate: { revision: 2 } });
  });

  test('finds all endpoints when it starts', async () => {
    it = await openServing({ 1: {} });
    await createEndpoint(it.ports, ada, REF, spec(1));
    await it.table.transact([{ put: { pk: 'workspaces', sk: 'default', body: {} }, if: 'absent' }]);
    expect(await everyEndpoint(it.table)).toEqual([REF]);
  });
});

describe('a rollback', () => {
  test('by an alarm takes the traffic back at once, with the alarm’s reason on status, history and audit', async () => {
    it = await openServing({ 1: {}, 2: {} });
    await servedTwice();
    await it.traffic(2, 500);
    expect((await it.platform.observe(REF)).weights).toEqual({ 1: 100 });
    const { lastRollback, rejected } = await it.status();
    expect(lastRollback).toMatchObject({
      from: { revision: 2, version: 2 },
      to: { revision: 1, version: 1 },
      by: 'system:on-alarm',
      reason: expect.stringContaining('Threshold Crossed'),
      alarm: expect.stringMatching(/^cairn\/default\/digits\/(r2\/)?errorRate$/),
    });
    expect(rejected).toEqual({ generation: 2, version: 2 });
    expect(it.events.at(-1)).toMatchObject({
      type: 'endpoint.rolled-back',
      data: { reason: lastRollback?.reason },
    });
    const [newest] = (await listRollouts(it.ports, ada, REF, { limit: 1 })).items;
    expect(newest).toMatchObject({ kind: 'rollback', outcome: 'succeeded', alarm: lastRollback?.alarm });
    expect(await uses()).toEqual(['0000000001/default/digits/1']);
  });

  test('by the same notification again does nothing more', async () => {
    it = await openServing({ 1: {}, 2: {} });
    await servedTwice();
    await it.traffic(2, 500);
    const before = actions();
    const [alarm] = await it.alarms.describeAlarms('cairn/default/digits/errorRate');
    const notification: AlarmNotification = {
      AlarmName: alarm?.name ?? '',
      OldStateValue: 'OK',
      NewStateValue: 'ALARM',
      NewStateReason: 'again',
      StateChangeTime: new Date(it.clock.now() - 5000).toISOString(),
    };
    await onAlarm(it.deps, notification, 'again');
    await onAlarm(it.deps, { ...notification, AlarmName: 'someone/elses' }, 'again');
    expect(actions()).toEqual(before);
  });

  test('sticks, also after the alarm is over; the same spec again tries again', async () => {
    it = await openServing({ 1: {}, 2: {} });
    await servedTwice();
    await it.traffic(2, 500);
    await it.traffic(1, 200);
    await it.traffic(1, 200);
    it.pass(1000);
    await it.until({ phase: 'idle', current: { version: 1 }, rejected: { version: 2 } });
    await updateEndpoint(it.ports, ada, REF, spec(2));
    await it.until({ phase: 'baking', candidate: { version: 2 } });
  });

  test('by a person needs something to go back to, and starts it if it was stopped', async () => {
    it = await openServing({ 1: {}, 2: {} });
    await served();
    await expect(rollbackEndpoint(it.ports, ada, REF)).rejects.toMatchObject({
      code: 'NO_PREVIOUS_REVISION',
    });
    await updateEndpoint(it.ports, ada, REF, spec(2));
    await it.until({ phase: 'baking' });
    it.pass(31);
    await it.until({ phase: 'idle', current: { version: 2 } });
    it.pass(601);
    await vi.waitFor(async () => expect(await it.processes(REF)).toHaveLength(1), WAIT);
    expect(await rollbackEndpoint(it.ports, ada, REF, 'it confuses 3 and 8')).toEqual({
      from: { revision: 2, version: 2 },
      to: { revision: 1, version: 1 },
    });
    await it.until({ current: { version: 1 }, lastRollback: { by: 'ada', reason: 'it confuses 3 and 8' } });
    await told('endpoint.rolled-back', 1);
    expect(actions().slice(-3)).toEqual([
      'endpoint.rollback-requested',
      'endpoint.rollback-started',
      'endpoint.rolled-back',
    ]);
    await expect(rollbackEndpoint(it.ports, viewer, REF)).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
  });

  test('by an alarm under load loses no request', async () => {
    it = await openServing({ 1: {}, 2: {} });
    await servedTwice();
    let done = false;
    const answers: number[] = [];
    const clients = Array.from({ length: 8 }, async () => {
      while (!done) answers.push((await it.call(REF, 'invocations', { method: 'POST', body: '{}' })).status);
    });
    await vi.waitFor(() => expect(answers.length).toBeGreaterThan(500), WAIT);
    await it.traffic(2, 500);
    await vi.waitFor(async () => expect(await it.processes(REF)).toHaveLength(1), WAIT);
    done = true;
    await Promise.all(clients);
    expect(answers.filter((status) => status !== 200)).toEqual([]);
  });
});

describe('an endpoint', () => {
  test.each([
    ['a version that is not there', spec(9), 'VERSION_NOT_FOUND', 'version'],
    ['a version that is not ready', spec(3), 'VERSION_NOT_READY', 'target.version'],
    ['a reference', spec(4), 'VERSION_WITHOUT_BYTES', 'target.version'],
    ['a version without a model that can be served', spec(5), 'NOT_DEPLOYABLE', 'target.version'],
    [
      'a version that nobody approved',
      spec(1, { requireApproval: true }),
      'VERSION_NOT_APPROVED',
      'target.version',
    ],
    ['an alias that is not there', spec(1, { target: { alias: 'x' } }), 'ALIAS_NOT_FOUND', 'target.alias'],
    ['both version and alias', spec(1, { target: { alias: 'x', version: 1 } }), 'INVALID_ARGUMENT', 'target'],
    ['another model', spec(1, { model: 'x' }), 'MODEL_NOT_FOUND', 'model'],
    ['an unknown field', spec(1, { gpu: 1 }), 'INVALID_ARGUMENT', 'gpu'],
    ['an unknown field of a part', spec(1, { resources: { gpu: 1 } }), 'INVALID_ARGUMENT', 'resources.gpu'],
    ['a strategy for later', spec(1, { strategy: { type: 'blue-green' } }), 'NOT_SUPPORTED', 'strategy.type'],
    ['a platform for later', spec(1, { platform: 'kubernetes' }), 'NOT_SUPPORTED', 'platform'],
    ['no replica', spec(1, { replicas: 0 }), 'INVALID_ARGUMENT', 'replicas'],
    [
      'a period that CloudWatch does not know',
      spec(1, { alarms: { errorRate: { period: 45 } } }),
      'INVALID_ARGUMENT',
      'alarms.errorRate.period',
    ],
    ['nothing', undefined, 'INVALID_ARGUMENT', 'spec'],
  ])('is refused for %s', async (_, wanted, code, field) => {
    it = await openServing({
      1: {},
      3: { status: 'PENDING' },
      4: { reference: 's3://x/y' },
      5: { kind: 'text' },
    });
    await expect(createEndpoint(it.ports, ada, REF, wanted)).rejects.toMatchObject({ code, field });
    expect(it.events).toEqual([]);
  });

  test('on ECS has names for which a load balancer’s path pattern has room', async () => {
    it = await openServing({ 1: {} });
    const ports = { ...it.ports, offer: ON_ECS };
    const named = (letters: number) => ({ workspace: 'w'.repeat(letters - 63), endpoint: 'e'.repeat(63) });
    const onEcs = { model: 'digits', target: { version: 1 } };
    const refused = { code: 'INVALID_ARGUMENT', field: 'name', detail: expect.stringContaining('114') };
    await expect(createEndpoint(ports, ada, named(115), onEcs)).rejects.toMatchObject(refused);
    expect(await createEndpoint(ports, ada, named(114), onEcs)).toMatchObject({ name: 'e'.repeat(63) });
  });

  test.each(['', 'Digits', '-a', 'a-', 'a.b', 'a/b', '..', 'x'.repeat(64)])(
    'cannot be named %j',
    async (endpoint) => {
      it = await openServing({ 1: {} });
      const named = { ...REF, endpoint };
      await expect(createEndpoint(it.ports, ada, named, spec(1))).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        field: 'name',
      });
    },
  );

  test('is there once, is changed by those who may and only from what was read', async () => {
    it = await openServing({ 1: {}, 2: {} });
    await expect(createEndpoint(it.ports, viewer, REF, spec(1))).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    const { rev } = await createEndpoint(it.ports, ada, REF, spec(1));
    await expect(createEndpoint(it.ports, ada, REF, spec(1))).rejects.toMatchObject({
      code: 'ENDPOINT_EXISTS',
    });
    await expect(updateEndpoint(it.ports, ada, REF, spec(2), { ifMatch: rev + 1 })).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
    });
    const same = await updateEndpoint(it.ports, ada, REF, spec(1), { ifMatch: rev });
    expect(same).toMatchObject({ rev, generation: 1 });
    expect(await updateEndpoint(it.ports, ada, REF, spec(2), { ifMatch: rev })).toMatchObject({
      rev: rev + 1,
      generation: 2,
    });
    const nowhere = { ...REF, endpoint: 'nowhere' };
    for (const missing of [
      getEndpoint(it.ports, ada, nowhere),
      updateEndpoint(it.ports, ada, nowhere, spec(1)),
      deleteEndpoint(it.ports, ada, nowhere),
      rollbackEndpoint(it.ports, ada, nowhere),
      listRollouts(it.ports, ada, nowhere, { limit: 1 }),
    ]) {
      await expect(missing).rejects.toMatchObject({ code: 'ENDPOINT_NOT_FOUND' });
    }
  });

  test('in ALARM takes no other version unless forced with a reason, which is audited', async () => {
    it = await openServing({ 1: {}, 2: {} });
    await served();
    await it.traffic(1, 500);
    await expect(updateEndpoint(it.ports, ada, REF, spec(2))).rejects.toMatchObject({ code: 'ALARM_ACTIVE' });
    await updateEndpoint(it.ports, ada, REF, spec(1, { replicas: 2 }));
    await expect(updateEndpoint(it.ports, ada, REF, spec(2), { force: true })).rejects.toMatchObject({
      field: 'reason',
    });
    await updateEndpoint(it.ports, ada, REF, spec(2), { force: true, reason: 'this is the fix' });
    await it.until({ phase: 'baking', candidate: { version: 2 } });
    expect(it.events).toContainEqual(
      expect.objectContaining({
        type: 'endpoint.updated-by-force',
        data: expect.objectContaining({ reason: 'this is the fix' }),
      }),
    );
  });

  test('is made by a deployment, and by the next one changed in what that names', async () => {
    it = await openServing({ 1: {}, 2: {} });
    const first = await deploy(it.ports, ada, REF, { model: 'digits', target: { version: 1 }, replicas: 2 });
    expect(first).toMatchObject({ created: true, endpoint: { generation: 1 } });
    const second = await deploy(it.ports, ada, REF, { model: 'digits', target: { version: 2 } });
    expect(second).toMatchObject({
      created: false,
      endpoint: { generation: 2, spec: { replicas: 2, target: { version: 2 } } },
    });
  });
});
