import { CairnError } from '../../errors.ts';
import { evaluate, evaluationRange } from '../../monitoring/evaluate.ts';
import { type MetricName, metricDimensions } from '../../monitoring/metrics.ts';
import type {
  AlarmDefinition,
  AlarmDescription,
  AlarmNotification,
  AlarmService,
  Dashboard,
  SeriesPoint,
} from '../../ports/alarm-service.ts';
import type { Clock } from '../../ports/clock.ts';
import { openAlarmFile } from './alarm-file.ts';
import { type MetricSeries, MetricStore } from './metric-store.ts';

export interface AlarmEngineOptions {
  readonly clock: Clock;
  /** Where alarms, their states and dashboards survive a restart; in memory only when left out. */
  readonly path?: string;
  /** Gets each state change of an alarm with actions, one after the other for each alarm; called again until it succeeds. */
  readonly notify: (notification: AlarmNotification) => Promise<void>;
  /** Told why a notification or a timed tick failed; the next tick tries again. */
  readonly onError: (error: unknown) => void;
}

/** One request as the gateway saw it; times in milliseconds. */
export interface RequestSample {
  readonly workspace: string;
  readonly endpoint: string;
  readonly revision: number;
  /** HTTP status that the client got. */
  readonly status: number;
  readonly latencyMs: number;
  /** The model server's own times, when it gave them. */
  readonly modelMs?: number | undefined;
  readonly queueMs?: number | undefined;
}

export interface AlarmEngine extends AlarmService {
  /** Counts a request for its endpoint and its revision. Synchronous and cheap: the gateway calls it for every request. */
  record(sample: RequestSample): void;
  /**
   * Evaluates every alarm whose period has ended since it was last evaluated, or that is new, then keeps and sends what changed.
   * Resolves when this has been done, also when a notification failed.
   */
  tick(): Promise<void>;
  /** Ticks at every multiple of 10 s from now on. Does not keep the process alive. */
  start(): void;
  /** No further tick; resolves when the one under way is done. */
  stop(): Promise<void>;
}

/** The shortest period, so every period ends at a multiple of it. */
const TICK_MS = 10_000;
const COMPACT_EVERY_MS = 600_000;

/**
 * CloudWatch's alarms on one machine. Periods are aligned to the epoch and evaluated once they are complete.
 * Alarms, states, undelivered notifications and dashboards are durable before a call returns; metrics are in memory,
 * so after a restart alarms see only what came since. A notification may come twice when the process dies while it is sent.
 * @throws Error when the file at `path` is of a newer format
 */
export async function openAlarmEngine(options: AlarmEngineOptions): Promise<AlarmEngine> {
  const { clock, notify, onError } = options;
  const store = new MetricStore();
  const file = await openAlarmFile(options.path);
  const { alarms, dashboards, undelivered } = file.content;
  /** End of the period that an alarm was last evaluated for; none when it is to be evaluated at the next tick. */
  const evaluatedUntil = new Map<string, number>();
  const recorders = new Map<string, Recorder>();
  const sending = new Map<string, Promise<void>>();
  let compactedAt = clock.now();
  let unsaved = false;
  let timer: NodeJS.Timeout | undefined;
  let ticking: Promise<unknown> = Promise.resolve();

  function evaluateAll(now: number): boolean {
    let changed = false;
    for (const alarm of alarms.values()) {
      const periodMs = alarm.period * 1000;
      const end = now - (now % periodMs);
      if (evaluatedUntil.get(alarm.name) === end) continue;
      evaluatedUntil.set(alarm.name, end);
      const points = newestPoints(alarm, end);
      const current = { state: alarm.state, reason: alarm.stateReason };
      const { state, reason } = evaluate(alarm, points, end, current);
      if (state === alarm.state) continue;
      changed = true;
      alarms.set(alarm.name, { ...alarm, state, stateReason: reason, stateUpdatedAt: now });
      if (!alarm.actionsEnabled) continue;
      undelivered.push({
        AlarmName: alarm.name,
        OldStateValue: alarm.state,
        NewStateValue: state,
        NewStateReason: reason,
        StateChangeTime: new Date(now).toISOString().replace('Z', '+0000'),
      });
    }
    return changed;
  }

  /** Reads the evaluation range, or only its newest part when nothing of that is missing. */
  function newestPoints({ source, period, evaluationPeriods }: AlarmDefinition, end: number): SeriesPoint[] {
    const last = (periods: number) =>
      store.values({ source, period, from: end - periods * period * 1000, to: end });
    const newest = last(evaluationPeriods);
    return newest.length === evaluationPeriods ? newest : last(evaluationRange(evaluationPeriods));
  }

  async function send(name: string): Promise<void> {
    for (;;) {
      const next = undelivered.find((notification) => notification.AlarmName === name);
      if (!next) return;
      try {
        await notify(next);
      } catch (error) {
        onError(error);
        return;
      }
      const index = undelivered.indexOf(next);
      if (index >= 0) undelivered.splice(index, 1);
      await file.save();
    }
  }

  async function deliver(): Promise<void> {
    for (const name of new Set(undelivered.map((notification) => notification.AlarmName))) {
      if (!sending.has(name))
        sending.set(
          name,
          send(name).finally(() => sending.delete(name)),
        );
    }
    await Promise.all(sending.values());
  }

  async function tick(): Promise<void> {
    const now = clock.now();
    unsaved = evaluateAll(now) || unsaved;
    if (unsaved) {
      await file.save();
      unsaved = false;
    }
    if (now - compactedAt >= COMPACT_EVERY_MS) {
      compactedAt = now;
      recorders.clear();
      store.compact(now);
    }
    await deliver();
  }

  function schedule(): void {
    const now = clock.now();
    timer = setTimeout(
      () => {
        schedule();
        ticking = tick().catch(onError);
      },
      TICK_MS - (now % TICK_MS) + 1,
    );
    timer.unref();
  }

  function recorder({ workspace, endpoint, revision }: RequestSample): Recorder {
    const key = `${workspace}/${endpoint}/${revision}`;
    let found = recorders.get(key);
    if (!found) {
      const whole = metricDimensions({ workspace, endpoint });
      const part = metricDimensions({ workspace, endpoint, revision });
      const both = (metric: MetricName) => [store.series(metric, whole), store.series(metric, part)] as const;
      found = {
        requests: both('Requests'),
        errors4xx: both('Errors4xx'),
        errors5xx: both('Errors5xx'),
        latency: both('Latency'),
        modelLatency: both('ModelLatency'),
        queueTime: both('QueueTime'),
      };
      recorders.set(key, found);
    }
    return found;
  }

  return {
    record(sample) {
      const at = clock.now();
      const to = recorder(sample);
      addTo(to.requests, at, 1);
      addTo(to.errors4xx, at, sample.status >= 400 && sample.status < 500 ? 1 : 0);
      addTo(to.errors5xx, at, sample.status >= 500 ? 1 : 0);
      addTo(to.latency, at, sample.latencyMs);
      if (sample.modelMs !== undefined) addTo(to.modelLatency, at, sample.modelMs);
      if (sample.queueMs !== undefined) addTo(to.queueTime, at, sample.queueMs);
    },

    tick,

    start() {
      if (!timer) schedule();
    },

    async stop() {
      clearTimeout(timer);
      timer = undefined;
      await ticking;
    },

    async putAlarm(alarm) {
      requireValid(alarm);
      const before = alarms.get(alarm.name);
      alarms.set(alarm.name, {
        ...alarm,
        state: before?.state ?? 'INSUFFICIENT_DATA',
        stateReason: before?.stateReason ?? 'Unchecked: Initial alarm creation',
        stateUpdatedAt: before?.stateUpdatedAt ?? clock.now(),
      });
      evaluatedUntil.delete(alarm.name);
      await file.save();
    },

    async deleteAlarms(names) {
      for (const name of names) {
        alarms.delete(name);
        evaluatedUntil.delete(name);
      }
      const left = undelivered.filter((notification) => alarms.has(notification.AlarmName));
      undelivered.splice(0, undelivered.length, ...left);
      await file.save();
    },

    async describeAlarms(prefix) {
      const found: AlarmDescription[] = [...alarms.values()].filter((alarm) => alarm.name.startsWith(prefix));
      return found.sort((a, b) => (a.name < b.name ? -1 : 1));
    },

    async publish(data) {
      for (const { metric, dimensions, at, values, counts } of data) {
        const series: MetricSeries = store.series(metric, dimensions);
        values.forEach((value, index) => {
          series.add(at, value, counts?.[index] ?? 1);
        });
      }
    },

    async series(query) {
      return store.values(query);
    },

    async putDashboard(name, body) {
      dashboards.set(name, body);
      await file.save();
    },

    async getDashboard(name): Promise<Dashboard | undefined> {
      return dashboards.get(name);
    },

    async deleteDashboard(name) {
      if (dashboards.delete(name)) await file.save();
    },
  };
}

/** A metric's series for the endpoint and for the revision. */
type Both = readonly [MetricSeries, MetricSeries];

interface Recorder {
  readonly requests: Both;
  readonly errors4xx: Both;
  readonly errors5xx: Both;
  readonly latency: Both;
  readonly modelLatency: Both;
  readonly queueTime: Both;
}

function addTo(series: Both, at: number, value: number): void {
  series[0].add(at, value);
  series[1].add(at, value);
}

/** What PutMetricAlarm refuses. */
function requireValid({ period, evaluationPeriods: n, datapointsToAlarm: m }: AlarmDefinition): void {
  if (![10, 20, 30].includes(period) && !(period > 0 && period % 60 === 0)) {
    throw new CairnError(
      'INVALID_ARGUMENT',
      'period must be 10, 20, 30 or a multiple of 60 seconds.',
      'period',
    );
  }
  if (!(Number.isInteger(n) && n >= 1) || period * n > 86_400) {
    const detail = 'evaluationPeriods must be 1 or more, and times period at most a day (86400 s).';
    throw new CairnError('INVALID_ARGUMENT', detail, 'evaluationPeriods');
  }
  if (!(Number.isInteger(m) && m >= 1 && m <= n)) {
    const detail = 'datapointsToAlarm must be 1 or more and not greater than evaluationPeriods.';
    throw new CairnError('INVALID_ARGUMENT', detail, 'datapointsToAlarm');
  }
}
