/** Metrics, alarms and dashboards with CloudWatch's semantics. */
export interface AlarmService {
  /** Creates or replaces the alarm of that name; a new one starts in INSUFFICIENT_DATA. */
  putAlarm(alarm: AlarmDefinition): Promise<void>;
  /** Succeeds for names that do not exist. */
  deleteAlarms(names: readonly string[]): Promise<void>;
  /** All alarms whose name begins with `prefix`, by name. */
  describeAlarms(prefix: string): Promise<AlarmDescription[]>;
  publish(data: readonly MetricDatum[]): Promise<void>;
  /** One value for each period that has data, oldest first. */
  series(query: SeriesQuery): Promise<SeriesPoint[]>;
  putDashboard(name: string, body: Dashboard): Promise<void>;
  getDashboard(name: string): Promise<Dashboard | undefined>;
  deleteDashboard(name: string): Promise<void>;
}

export type Dimensions = Readonly<Record<string, string>>;

export interface MetricDatum {
  readonly metric: string;
  readonly dimensions: Dimensions;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** One sample or many with the same meaning: CloudWatch's `Values` and `Counts`. */
  readonly values: readonly number[];
  readonly counts?: readonly number[];
  readonly unit: 'Count' | 'Milliseconds' | 'Percent' | 'Bytes' | 'None';
}

/** `p99`, `p99.9`, `p50` … are percentiles of the samples, never of averages. */
export type Statistic = 'Sum' | 'Average' | 'Minimum' | 'Maximum' | 'SampleCount' | `p${number}`;

/** A metric's statistic, or 100 × the quotient of two metrics' sums (metric math on CloudWatch). */
export type MetricSource =
  | {
      readonly kind: 'metric';
      readonly metric: string;
      readonly dimensions: Dimensions;
      readonly statistic: Statistic;
    }
  | {
      readonly kind: 'percentage';
      readonly numerator: string;
      readonly denominator: string;
      readonly dimensions: Dimensions;
    };

export type Comparison =
  | 'GreaterThanThreshold'
  | 'GreaterThanOrEqualToThreshold'
  | 'LessThanThreshold'
  | 'LessThanOrEqualToThreshold';

export type MissingData = 'breaching' | 'notBreaching' | 'ignore' | 'missing';

export interface AlarmRule {
  readonly source: MetricSource;
  /** Seconds: 10, 20, 30 or a multiple of 60, as PutMetricAlarm takes. */
  readonly period: number;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly threshold: number;
  readonly comparison: Comparison;
  readonly treatMissingData: MissingData;
}

export interface AlarmDefinition extends AlarmRule {
  readonly name: string;
  readonly description?: string;
  /** Whether state changes are sent on: to the SNS topic on AWS, to the in-process subscriber on one machine. */
  readonly actionsEnabled: boolean;
}

export type AlarmState = 'OK' | 'ALARM' | 'INSUFFICIENT_DATA';

export interface AlarmDescription extends AlarmDefinition {
  readonly state: AlarmState;
  readonly stateReason: string;
  /** Milliseconds since the epoch. */
  readonly stateUpdatedAt: number;
}

/** What a state change sends: the fields of CloudWatch's SNS message that Cairn reads, under their own names. */
export interface AlarmNotification {
  readonly AlarmName: string;
  readonly OldStateValue: AlarmState;
  readonly NewStateValue: AlarmState;
  readonly NewStateReason: string;
  /** ISO 8601. */
  readonly StateChangeTime: string;
}

export interface SeriesQuery {
  readonly source: MetricSource;
  readonly period: number;
  /** Milliseconds since the epoch; `from` inclusive, `to` exclusive. */
  readonly from: number;
  readonly to: number;
}

export interface SeriesPoint {
  /** The period's start, milliseconds since the epoch. */
  readonly at: number;
  readonly value: number;
}

/** A dashboard in CloudWatch's own body format, so that it can be put there as it is. */
export interface Dashboard {
  readonly widgets: readonly Record<string, unknown>[];
}
