import type { AlarmRule, AlarmState, Comparison, SeriesPoint } from '../ports/alarm-service.ts';

/**
 * How many of the newest periods an alarm looks at, so that it need not fill holes as long as older data is there.
 * CloudWatch documents 5 for 3 evaluation periods and leaves the general rule open ("depends on the length of the alarm
 * period and whether it is based on a metric with standard resolution or high resolution"); this is a third more, at least two.
 */
export function evaluationRange(evaluationPeriods: number): number {
  return evaluationPeriods + Math.max(2, Math.floor(evaluationPeriods / 3));
}

export interface Evaluation {
  readonly state: AlarmState;
  readonly reason: string;
}

/** A datapoint with its age in periods: 1 is the newest. */
interface Aged extends SeriesPoint {
  readonly age: number;
}

/**
 * The alarm's state at `end`, a border between periods: M out of the last N datapoints, where older datapoints of the evaluation
 * range stand in for missing ones before `treatMissingData` does.
 * `points` are values at periods' starts in any order; those outside the range do not count.
 * Source: "Configuring how CloudWatch alarms treat missing data" and its section "Avoiding premature transitions to alarm
 * state", https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
 */
export function evaluate(
  rule: AlarmRule,
  points: readonly SeriesPoint[],
  end: number,
  current: Evaluation,
): Evaluation {
  const { evaluationPeriods: n, datapointsToAlarm: m } = rule;
  const evaluated = newestFirst(rule, points, end).slice(0, n);
  const breaching = evaluated.filter((point) => breaches(rule, point.value));
  const missing = n - evaluated.length;

  if (breaching.length < m && missing > 0) {
    if (rule.treatMissingData === 'breaching') {
      const alarm = breaching.length + missing >= m;
      return crossed(rule, alarm, evaluated, missing);
    }
    if (rule.treatMissingData !== 'notBreaching' && breaching.length === evaluated.length) {
      if (rule.treatMissingData === 'ignore') return current;
      const oldest = breaching.at(-1);
      if (oldest && oldest.age >= m) return crossed(rule, true, evaluated, missing);
      return {
        state: 'INSUFFICIENT_DATA',
        reason: `Insufficient Data: ${datapoints(missing)} ${was(missing)} unknown.`,
      };
    }
  }
  return crossed(rule, breaching.length >= m, evaluated, missing);
}

/** Whether the value is on the wrong side of the threshold. */
export function breaches(rule: Pick<AlarmRule, 'comparison' | 'threshold'>, value: number): boolean {
  switch (rule.comparison) {
    case 'GreaterThanThreshold':
      return value > rule.threshold;
    case 'GreaterThanOrEqualToThreshold':
      return value >= rule.threshold;
    case 'LessThanThreshold':
      return value < rule.threshold;
    case 'LessThanOrEqualToThreshold':
      return value <= rule.threshold;
  }
}

function newestFirst(rule: AlarmRule, points: readonly SeriesPoint[], end: number): Aged[] {
  const range = evaluationRange(rule.evaluationPeriods);
  return points
    .map((point) => ({ ...point, age: Math.ceil((end - point.at) / (rule.period * 1000)) }))
    .filter((point) => point.age >= 1 && point.age <= range)
    .sort((a, b) => a.age - b.age);
}

const COMPARED: Record<Comparison, string> = {
  GreaterThanThreshold: 'greater than',
  GreaterThanOrEqualToThreshold: 'greater than or equal to',
  LessThanThreshold: 'less than',
  LessThanOrEqualToThreshold: 'less than or equal to',
};

const TREATED = {
  breaching: 'Breaching',
  notBreaching: 'NonBreaching',
  missing: 'Missing',
  ignore: 'Ignore',
} as const;

/** The state with the sentence that CloudWatch gives, which lists the datapoints on the side that won. */
function crossed(rule: AlarmRule, alarm: boolean, evaluated: readonly Aged[], missing: number): Evaluation {
  const { evaluationPeriods: n, datapointsToAlarm: m } = rule;
  const state = alarm ? 'ALARM' : 'OK';
  const winning = evaluated.filter((point) => breaches(rule, point.value) === alarm);
  const treated =
    missing === 0
      ? ''
      : ` and ${datapoints(missing, 'missing ')} ${was(missing)} treated as [${TREATED[rule.treatMissingData]}]`;
  if (winning.length === 0) {
    const received =
      evaluated.length === 0
        ? 'no datapoints were'
        : `${datapoints(evaluated.length)} ${was(evaluated.length)}`;
    return {
      state,
      reason: `Threshold Crossed: ${received} received for ${n} period${n === 1 ? '' : 's'}${treated}.`,
    };
  }
  const listed = winning.map((point) => `${double(point.value)} (${timestamp(point.at)})`).join(', ');
  const verb = `${was(winning.length)}${alarm ? '' : ' not'} ${COMPARED[rule.comparison]}`;
  const needed = alarm ? `${datapoints(m)} for OK -> ALARM` : `${datapoints(n - m + 1)} for ALARM -> OK`;
  return {
    state,
    reason:
      `Threshold Crossed: ${winning.length} out of the last ${n} datapoints [${listed}] ${verb} ` +
      `the threshold (${double(rule.threshold)})${treated} (minimum ${needed} transition).`,
  };
}

const datapoints = (count: number, kind = '') => `${count} ${kind}datapoint${count === 1 ? '' : 's'}`;
const was = (count: number) => (count === 1 ? 'was' : 'were');
const double = (value: number) => (Number.isInteger(value) ? `${value}.0` : String(value));

/** `24/11/26 13:00:00`, UTC. */
function timestamp(at: number): string {
  const [date = '', time = ''] = new Date(at).toISOString().split('T');
  const [year = '', month, day] = date.split('-');
  return `${day}/${month}/${year.slice(2)} ${time.slice(0, 8)}`;
}
