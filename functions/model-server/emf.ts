import { emfLines } from '../../shared/monitoring/emf.ts';
import {
  METRIC_UNITS,
  type MetricName,
  metricDimensions,
  type Watched,
} from '../../shared/monitoring/metrics.ts';
import type { MetricDatum } from '../../shared/ports/alarm-service.ts';

/** An inference request that was answered; times in milliseconds. */
export interface InferenceSample {
  readonly status: number;
  readonly latency: number;
  readonly model?: number | undefined;
  readonly queue?: number | undefined;
}

export interface EmfReporter {
  record(sample: InferenceSample): void;
  /** Writes what has been recorded. */
  flush(): void;
}

/** The shortest period that an alarm can have; each is written as soon as it is over. */
const PERIOD_MS = 10_000;
/** A time is kept to this many digits, so that equal ones can be counted: 0.5 % off at most, as percentiles are by 1 %. */
const DIGITS = 3;

/** Writes the endpoint's metrics and its revision's as lines from which CloudWatch Logs makes metrics. Without requests, nothing. */
export function startEmf(
  revision: Required<Watched>,
  write: (line: string) => void,
  now: () => number = Date.now,
): EmfReporter {
  const { workspace, endpoint } = revision;
  let begin = 0;
  let samples = new Map<MetricName, Map<number, number>>();
  let timer: NodeJS.Timeout | undefined;

  const add = (metric: MetricName, value: number | undefined) => {
    if (value === undefined) return;
    const values = samples.get(metric) ?? new Map<number, number>();
    samples.set(metric, values);
    values.set(value, (values.get(value) ?? 0) + 1);
  };
  const time = (ms: number | undefined) => (ms === undefined ? undefined : Number(ms.toPrecision(DIGITS)));

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const data = [{ workspace, endpoint }, revision].flatMap((watched) =>
      [...samples].map(
        ([metric, values]): MetricDatum => ({
          metric,
          unit: METRIC_UNITS[metric],
          dimensions: metricDimensions(watched),
          at: begin,
          values: [...values.keys()],
          counts: [...values.values()],
        }),
      ),
    );
    samples = new Map();
    for (const line of emfLines(data)) write(`${line}\n`);
  };

  return {
    record({ status, latency, model, queue }) {
      const period = now() - (now() % PERIOD_MS);
      if (samples.size > 0 && period !== begin) flush();
      begin = period;
      add('Requests', 1);
      add('Errors4xx', status >= 400 && status < 500 ? 1 : 0);
      add('Errors5xx', status >= 500 ? 1 : 0);
      add('Latency', time(latency));
      add('ModelLatency', time(model));
      add('QueueTime', time(queue));
      timer ??= setTimeout(flush, begin + PERIOD_MS - now()).unref();
    },
    flush,
  };
}
