import * as z from 'zod';
import { CairnError } from '../errors.ts';
import type { ReplicaRange, Resources } from '../ports/serving-platform.ts';
import { ON_PROCESSES, type PlatformOffer, settle } from './platform-offer.ts';

const AllAtOnce = z.strictObject({
  type: z.literal('all-at-once'),
  /** Seconds that all traffic stays on the new revision, watched, before it counts as good. */
  bakeSeconds: z.int().min(0).max(86_400).default(60),
});

/** ECS's name for it: the new revision gets all traffic in one move once all its replicas are ready. */
const BlueGreen = z.strictObject({
  type: z.literal('blue-green'),
  bakeSeconds: z.int().min(0).max(86_400).default(60),
});

const Canary = z.strictObject({
  type: z.literal('canary'),
  canaryPercent: z.number().gt(0).lt(100).default(10),
  /** Seconds that the canary gets its share before all traffic moves. */
  canarySeconds: z.int().min(0).max(86_400).default(120),
  bakeSeconds: z.int().min(0).max(86_400).default(60),
});

const Linear = z.strictObject({
  type: z.literal('linear'),
  /** What each step adds to the new revision's share. */
  stepPercent: z.number().min(3).max(100).default(10),
  /** Seconds between two steps. */
  stepSeconds: z.int().min(0).max(86_400).default(300),
  bakeSeconds: z.int().min(0).max(86_400).default(60),
});

/** How an endpoint moves to a new revision. A rollout keeps the numbers that it started with. */
export const Strategy = z.discriminatedUnion('type', [AllAtOnce, BlueGreen, Canary, Linear]);
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

const Replicas = z.int().min(1).max(32);

/** What the user wants of an endpoint. Unknown fields are refused, never ignored. */
export const EndpointSpec = z.strictObject({
  model: z.string().min(1),
  /** Exactly one: a version's number, or an alias to follow. */
  target: z.union([
    z.strictObject({ version: z.int().min(1) }),
    z.strictObject({ alias: z.string().min(1).max(255) }),
  ]),
  /** Without it, what the installation has. */
  platform: z.enum(['process', 'ecs']).optional(),
  resources: z
    .strictObject({
      cpu: z.number().min(0.25).max(64).default(1),
      /** Without it, 1024; on ECS the least that Fargate has for that cpu. */
      memoryMiB: z.int().min(64).max(1_048_576).optional(),
    })
    .prefault({}),
  /** A number, or on ECS bounds between which the load decides. */
  replicas: z
    .union([
      Replicas,
      z
        .strictObject({ min: Replicas, max: Replicas })
        .refine(({ min, max }) => min <= max, { path: ['max'], message: 'must not be less than min' }),
    ])
    .default(1),
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
      /**
       * Seconds that the revision before stays up after a rollout, so that going back is instant. Without it, 600; on ECS,
       * which keeps it only while the new one bakes, nothing but 0.
       */
      keepPreviousSeconds: z.int().min(0).max(86_400).optional(),
    })
    .prefault({}),
  /** Whether only APPROVED versions may be deployed. */
  requireApproval: z.boolean().default(false),
});
/** A spec as the user writes it, defaults left out. */
export type EndpointSpecInput = z.input<typeof EndpointSpec>;
/** A spec whose defaults are filled in, but for those that depend on the platform. */
export type WrittenSpec = z.infer<typeof EndpointSpec>;
export type EndpointSpec = WrittenSpec & {
  readonly platform: PlatformOffer['platform'];
  readonly resources: Resources;
  readonly rollback: { readonly onAlarm: boolean; readonly keepPreviousSeconds: number };
};

/** The bounds that the spec's replicas mean. */
export const replicaRange = ({ replicas }: Pick<WrittenSpec, 'replicas'>): ReplicaRange =>
  typeof replicas === 'number' ? { min: replicas, max: replicas } : replicas;

const STRATEGIES = ['all-at-once', 'blue-green', 'canary', 'linear'];
const PLATFORMS = ['process', 'ecs'];

/**
 * The spec with its defaults filled in, as the installation's platform takes it.
 * @throws CairnError `NOT_SUPPORTED` for what is not there, `INVALID_ARGUMENT` naming the first wrong field
 */
export function parseEndpointSpec(input: unknown, offer: PlatformOffer = ON_PROCESSES): EndpointSpec {
  return settle(readEndpointSpec(input), offer);
}

/** The spec as far as it does not depend on the platform. @throws CairnError as {@link parseEndpointSpec} */
export function readEndpointSpec(input: unknown): WrittenSpec {
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
