import { z } from 'zod';
import { CairnError } from '../errors.ts';

const AllAtOnce = z.strictObject({
  type: z.literal('all-at-once'),
  /** Seconds that all traffic stays on the new revision, watched, before it counts as good. */
  bakeSeconds: z.int().min(0).max(86_400).default(60),
});

const Canary = z.strictObject({
  type: z.literal('canary'),
  canaryPercent: z.number().gt(0).lt(100).default(10),
  /** Seconds that the canary gets its share before all traffic moves. */
  canarySeconds: z.int().min(0).max(86_400).default(120),
  bakeSeconds: z.int().min(0).max(86_400).default(60),
});

/** How an endpoint moves to a new revision. A rollout keeps the numbers that it started with. */
export const Strategy = z.discriminatedUnion('type', [AllAtOnce, Canary]);
export type Strategy = z.infer<typeof Strategy>;

const period = z.int().refine((p) => p === 10 || p === 20 || p === 30 || (p > 0 && p % 60 === 0), {
  message: 'must be 10, 20, 30 or a multiple of 60',
});

/** One default alarm's numbers; `period` in seconds as PutMetricAlarm takes them. */
const alarmTuning = (threshold: number) =>
  z
    .strictObject({
      threshold: z.number().min(0).default(threshold),
      period: period.default(60),
      evaluationPeriods: z.int().min(1).max(100).default(2),
      datapointsToAlarm: z.int().min(1).max(100).default(2),
      enabled: z.boolean().default(true),
    })
    .refine((alarm) => alarm.datapointsToAlarm <= alarm.evaluationPeriods, {
      path: ['datapointsToAlarm'],
      message: 'must not be greater than evaluationPeriods',
    })
    .refine((alarm) => alarm.period * alarm.evaluationPeriods <= 86_400, {
      path: ['evaluationPeriods'],
      message: 'times period must be at most a day (86400 s)',
    });

/** What the user wants of an endpoint. Unknown fields are refused, never ignored. */
export const EndpointSpec = z.strictObject({
  model: z.string().min(1),
  /** Exactly one: a version's number, or an alias to follow. */
  target: z.union([
    z.strictObject({ version: z.int().min(1) }),
    z.strictObject({ alias: z.string().min(1).max(255) }),
  ]),
  platform: z.literal('process').default('process'),
  resources: z
    .strictObject({
      cpu: z.number().min(0.25).max(64).default(1),
      memoryMiB: z.int().min(64).max(1_048_576).default(1024),
    })
    .prefault({}),
  replicas: z.int().min(1).max(32).default(1),
  strategy: Strategy.prefault({ type: 'all-at-once' }),
  alarms: z
    .strictObject({
      /** 100 × 5xx answers / requests. */
      errorRate: alarmTuning(5).prefault({}),
      /** 99th percentile of the latency that clients see, in milliseconds. */
      latencyP99: alarmTuning(1000).prefault({}),
    })
    .prefault({}),
  rollback: z
    .strictObject({
      /** Whether an alarm sends the endpoint back to its last good revision. */
      onAlarm: z.boolean().default(true),
      /** Seconds that the revision before stays up after a rollout, so that going back is instant. */
      keepPreviousSeconds: z.int().min(0).max(86_400).default(600),
    })
    .prefault({}),
  /** Whether only APPROVED versions may be deployed. */
  requireApproval: z.boolean().default(false),
});
/** A spec as the user writes it, defaults left out. */
export type EndpointSpecInput = z.input<typeof EndpointSpec>;
export type EndpointSpec = z.infer<typeof EndpointSpec>;

const STRATEGIES = ['all-at-once', 'canary'];
const PLATFORMS = ['process'];

/**
 * The spec with its defaults filled in.
 * @throws CairnError `NOT_SUPPORTED` for a strategy or platform that is not there, `INVALID_ARGUMENT` naming the first wrong field
 */
export function parseEndpointSpec(input: unknown): EndpointSpec {
  const { strategy, platform } = Object(input);
  refuseOther('strategy.type', Object(strategy).type, STRATEGIES);
  refuseOther('platform', platform, PLATFORMS);
  const parsed = EndpointSpec.safeParse(input);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys.slice(0, 1) : [];
  const field = [...(issue?.path ?? []), ...unknown].join('.') || 'spec';
  if (field === 'target') {
    throw new CairnError(
      'INVALID_ARGUMENT',
      'target must be {"version": n} or {"alias": "name"}, not both.',
      field,
    );
  }
  throw new CairnError(
    'INVALID_ARGUMENT',
    `${field}: ${unknown.length ? 'there is no such field' : issue?.message}.`,
    field,
  );
}

function refuseOther(field: string, value: unknown, supported: readonly string[]) {
  if (typeof value !== 'string' || supported.includes(value)) return;
  throw new CairnError(
    'NOT_SUPPORTED',
    `${field} "${value}" is not supported; use ${supported.join(' or ')}.`,
    field,
  );
}
