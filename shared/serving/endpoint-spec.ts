import { z } from 'zod';

/** What the user wants of an endpoint. Unknown fields are refused, never ignored. */
export const Strategy = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('all-at-once'),
    /** Seconds that all traffic stays on the new revision, watched, before it counts as good. */
    bakeSeconds: z.int().min(0).max(86_400).default(60),
  }),
  z.strictObject({
    type: z.literal('canary'),
    canaryPercent: z.number().gt(0).lt(100).default(10),
    /** Seconds that the canary gets its share before all traffic moves. */
    canarySeconds: z.int().min(0).max(86_400).default(120),
    bakeSeconds: z.int().min(0).max(86_400).default(60),
  }),
]);
export type Strategy = z.infer<typeof Strategy>;

/** One default alarm's numbers; `period` in seconds as PutMetricAlarm takes them. */
const AlarmTuning = (threshold: number) =>
  z.strictObject({
    threshold: z.number().min(0).default(threshold),
    period: z
      .int()
      .refine((p) => p === 10 || p === 20 || p === 30 || (p > 0 && p % 60 === 0), 'must be 10, 20, 30 or a multiple of 60')
      .default(60),
    evaluationPeriods: z.int().min(1).max(100).default(2),
    datapointsToAlarm: z.int().min(1).max(100).default(2),
    enabled: z.boolean().default(true),
  }).refine((a) => a.datapointsToAlarm <= a.evaluationPeriods, {
    path: ['datapointsToAlarm'],
    message: 'must not be greater than evaluationPeriods',
  });

export const EndpointSpec = z.strictObject({
  model: z.string(),
  /** Exactly one: a version's number, or an alias to follow. */
  target: z.union([
    z.strictObject({ version: z.int().min(1) }),
    z.strictObject({ alias: z.string().min(1) }),
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
      errorRate: AlarmTuning(5).prefault({}),
      /** 99th percentile of the latency that clients see, in milliseconds. */
      latencyP99: AlarmTuning(1000).prefault({}),
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
