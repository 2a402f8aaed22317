import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type AlarmEngineOptions, openAlarmEngine } from '../../../../shared/adapters/local/alarm-engine.ts';
import { endpointAlarms } from '../../../../shared/monitoring/endpoint-alarms.ts';
import { metricsReport } from '../../../../shared/monitoring/report.ts';
import type { AlarmDefinition, AlarmNotification } from '../../../../shared/ports/alarm-service.ts';
import { EndpointSpec } from '../../../../shared/serving/endpoint-spec.ts';
import { alarmServiceContract } from '../../../contract/alarm-service.ts';

const START = Date.UTC(2026, 10, 24, 13);
const digits = { workspace: 'default', endpoint: 'digits' };

function rejecting(error: unknown): never {
  throw error;
}

/** An engine whose clock stands still until it is advanced. */
async function open(options: Partial<AlarmEngineOptions> = {}) {
  const clock = { at: START, now: () => clock.at };
  const sent: AlarmNotification[] = [];
  const engine = await openAlarmEngine({
    clock,
    notify: async (notification) => void sent.push(notification),
    onError: rejecting,
    ...options,
  });
  return {
    engine,
    clock,
    sent,
    async advance(seconds: number) {
      for (const end = clock.at + seconds * 1000; clock.at < end; ) {
        clock.at = Math.min(end, clock.at - (clock.at % 10_000) + 10_000);
        await engine.tick();
      }
    },
    request: (revision: number, status = 200, latencyMs = 5) =>
      engine.record({ ...digits, revision, status, latencyMs, modelMs: latencyMs / 2, queueMs: 1 }),
  };
}

const watch = (alarms: unknown, revision?: number): AlarmDefinition[] =>
  endpointAlarms(
    { ...digits, revision },
    EndpointSpec.parse({ model: 'digits', target: { version: 1 }, alarms }).alarms,
  );
const fast = { period: 10, evaluationPeriods: 1, datapointsToAlarm: 1 };

alarmServiceContract('the local alarm engine', async () => {
  const { engine, clock, sent, advance } = await open();
  return { service: engine, now: clock.now, advance, notifications: () => sent, close: () => engine.stop() };
});

describe('recorded requests', () => {
  test('are counted for the endpoint and for the revision that answered', async () => {
    const { engine, request, advance, clock } = await open();
    for (let count = 0; count < 8; count++) request(1);
    request(2, 503, 40);
    request(2, 404);
    await advance(10);
    const window = { from: START, to: clock.now(), period: 10 };
    const report = await metricsReport(engine, digits, [1, 2], window);
    const one = (value: number) => [{ at: START, value }];
    expect(report).toMatchObject({ requests: one(10), errors4xx: one(1), errors5xx: one(1) });
    expect(report.revisions).toMatchObject([
      { revision: 1, requests: one(8), errors5xx: one(0), queueTime: { p99: one(1) } },
      { revision: 2, requests: one(2), errors4xx: one(1), errors5xx: one(1) },
    ]);
    expect(report.revisions[1]?.latency.p99[0]?.value).toBe(40);
  });

  test('set off the alarm of a canary that the endpoint’s sum hides', async () => {
    const { engine, request, advance, sent } = await open();
    for (const alarm of [...watch({ errorRate: fast }), ...watch({ errorRate: fast }, 2)])
      await engine.putAlarm(alarm);
    for (let count = 0; count < 95; count++) request(1);
    for (let count = 0; count < 5; count++) request(2, count < 4 ? 500 : 200);
    await advance(10);
    const toAlarm = sent.filter((notification) => notification.NewStateValue === 'ALARM');
    expect(toAlarm.map((notification) => notification.AlarmName)).toEqual([
      'cairn/default/digits/r2/errorRate',
    ]);
  });

  test('of the running period do not count before it is complete', async () => {
    const { engine, request, advance, sent } = await open();
    const [errorRate] = watch({ errorRate: { ...fast, period: 60 } });
    await engine.putAlarm(errorRate as AlarmDefinition);
    request(1, 500);
    await advance(50);
    expect(sent.map((notification) => notification.NewStateValue)).toEqual(['OK']);
    await advance(10);
    expect(sent.map((notification) => notification.NewStateValue)).toEqual(['OK', 'ALARM']);
  });

  test('older than three hours are still there by the minute, older than 15 days they are gone', async () => {
    const { engine, request, advance, clock } = await open();
    request(1);
    await advance(20);
    request(1);
    clock.at = START + 4 * 3_600_000;
    request(1);
    await advance(10);
    const total = async (period: number) =>
      (await metricsReport(engine, digits, [], { from: START, to: clock.now() + 1, period })).requests;
    expect(await total(60)).toEqual([
      { at: START, value: 2 },
      { at: START + 4 * 3_600_000, value: 1 },
    ]);
    clock.at = START + 16 * 86_400_000;
    await advance(10);
    expect(await total(60)).toEqual([]);
    request(1);
    expect(await total(60)).toHaveLength(1);
  });
});

describe('a started engine', () => {
  beforeEach(
    () => void vi.useFakeTimers({ now: START + 3000, toFake: ['setTimeout', 'clearTimeout', 'Date'] }),
  );
  afterEach(() => void vi.useRealTimers());

  test('ticks at each multiple of ten seconds until it is stopped', async () => {
    const clock = { now: () => Date.now() };
    const { engine, request, sent } = await open({ clock });
    const [errorRate] = watch({ errorRate: fast });
    await engine.putAlarm(errorRate as AlarmDefinition);
    engine.start();
    request(1, 500);
    await vi.advanceTimersByTimeAsync(6990);
    expect(sent).toEqual([]);
    await vi.advanceTimersByTimeAsync(20);
    expect(sent).toMatchObject([{ NewStateValue: 'ALARM' }]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toMatchObject([{ NewStateValue: 'ALARM' }, { NewStateValue: 'OK' }]);
    await engine.stop();
    request(1, 500);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(2);
  });

  test('tells of a tick that failed and goes on', async () => {
    const errors: unknown[] = [];
    const broken = { now: () => START };
    const { engine } = await open({ clock: broken, onError: (error) => void errors.push(error) });
    engine.start();
    vi.spyOn(broken, 'now')
      .mockImplementationOnce(() => START)
      .mockImplementationOnce(() => rejecting(new Error('no time')));
    await vi.advanceTimersByTimeAsync(10_010);
    expect(errors).toMatchObject([{ message: 'no time' }]);
    await engine.stop();
  });
});

describe('a notification', () => {
  test('that fails is sent again at the next tick until it is delivered', async () => {
    const errors: unknown[] = [];
    const delivered: string[] = [];
    const { engine, request, advance } = await open({
      onError: (error) => void errors.push(error),
      notify: async ({ NewStateValue }) => {
        if (errors.length < 2) throw new Error('not reachable');
        delivered.push(NewStateValue);
      },
    });
    for (const alarm of watch({ errorRate: fast, latencyP99: { enabled: false } }))
      await engine.putAlarm(alarm);
    request(1, 500);
    await advance(10);
    expect(delivered).toEqual([]);
    await advance(20);
    expect(errors).toHaveLength(2);
    expect(delivered[0]).toBe('ALARM');
    await advance(20);
    expect(delivered.filter((state) => state === 'ALARM')).toHaveLength(1);
  });

  test('that takes long holds up neither evaluation nor another alarm’s notification, and is not sent twice', async () => {
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const calls: string[] = [];
    const { engine, request, clock } = await open({
      notify: async ({ AlarmName }) => {
        calls.push(AlarmName);
        if (AlarmName.endsWith('errorRate')) await held;
      },
    });
    for (const alarm of watch({ errorRate: fast, latencyP99: fast })) await engine.putAlarm(alarm);
    request(1, 500, 5000);
    clock.at += 10_000;
    const first = engine.tick();
    const second = engine.tick();
    await expect
      .poll(() => calls.toSorted())
      .toEqual(['cairn/default/digits/errorRate', 'cairn/default/digits/latencyP99']);
    release();
    await Promise.all([first, second]);
    expect(calls).toHaveLength(2);
  });
});

describe('an engine with a file', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'cairn-alarms-'));
  });
  afterEach(() => rm(directory, { recursive: true }));
  const path = () => join(directory, 'alarms', 'alarms.json');

  test('still has its alarms, their states, dashboards and undelivered notifications after a restart', async () => {
    const before = await open({ path: path(), onError: () => {}, notify: rejecting });
    for (const alarm of watch({ errorRate: fast })) await before.engine.putAlarm(alarm);
    await before.engine.putDashboard('cairn-digits', { widgets: [] });
    before.request(1, 500);
    await before.advance(10);
    const alarms = await before.engine.describeAlarms('');
    await before.engine.stop();

    const { engine, sent } = await open({ path: path() });
    expect(await engine.describeAlarms('')).toEqual(alarms);
    expect(await engine.getDashboard('cairn-digits')).toEqual({ widgets: [] });
    await engine.tick();
    expect(sent).toContainEqual(expect.objectContaining({ NewStateValue: 'ALARM' }));
  });

  test('makes every change durable, also when many come at once', async () => {
    const { engine } = await open({ path: path() });
    const [alarm] = watch({});
    const names = Array.from({ length: 50 }, (_, index) => `cairn/default/e${index}/errorRate`);
    await Promise.all(names.map((name) => engine.putAlarm({ ...(alarm as AlarmDefinition), name })));
    await Promise.all(names.slice(10).map((name) => engine.deleteAlarms([name])));
    const again = await open({ path: path() });
    expect(await again.engine.describeAlarms('')).toHaveLength(10);
  });

  test('refuses a file of a newer format', async () => {
    const { engine } = await open({ path: path() });
    await engine.putDashboard('cairn-digits', { widgets: [] });
    const stored = JSON.parse(await readFile(path(), 'utf8'));
    await writeFile(path(), JSON.stringify({ ...stored, format: 2 }));
    await expect(open({ path: path() })).rejects.toThrow(/format 2/);
  });
});

test.each([
  [{ period: 15 }, 'period'],
  [{ period: 90 }, 'period'],
  [{ evaluationPeriods: 0 }, 'evaluationPeriods'],
  [{ period: 3600, evaluationPeriods: 25 }, 'evaluationPeriods'],
  [{ datapointsToAlarm: 3 }, 'datapointsToAlarm'],
])(
  'an alarm that PutMetricAlarm would refuse is refused, and the field is named: %j',
  async (changes, field) => {
    const { engine } = await open();
    const [alarm] = watch({});
    const put = engine.putAlarm({ ...(alarm as AlarmDefinition), ...changes });
    await expect(put).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field });
  },
);
