import { CairnError } from '../errors.ts';
import type { Resources } from '../ports/serving-platform.ts';
import type { EndpointSpec, Strategy, WrittenSpec } from './endpoint-spec.ts';

/** What an installation's platform takes. */
export interface PlatformOffer {
  readonly platform: 'process' | 'ecs';
  readonly strategies: readonly Strategy['type'][];
  /** How many characters the names of an endpoint and of its workspace may have together. */
  readonly namesMax?: number;
}

export const ON_PROCESSES: PlatformOffer = { platform: 'process', strategies: ['all-at-once', 'canary'] };
/** Of the 128 characters of a load balancer's path pattern, what `/endpoints/<workspace>/<endpoint>/*` leaves for both names. */
const ON_BALANCER = 128 - '/endpoints///*'.length;
/** Traffic between two revisions of one ECS service is shifted by ECS itself. */
export const ON_ECS: PlatformOffer = {
  platform: 'ecs',
  strategies: ['all-at-once', 'blue-green', 'canary', 'linear'],
  namesMax: ON_BALANCER,
};
/** ECS without the role that lets it shift traffic: new tasks take over from old ones. */
export const ON_ECS_ROLLING: PlatformOffer = {
  platform: 'ecs',
  strategies: ['all-at-once'],
  namesMax: ON_BALANCER,
};

/**
 * The spec with what its platform decides filled in.
 * @throws CairnError `NOT_SUPPORTED` or `INVALID_ARGUMENT` naming the field that the platform does not take
 */
export function settle(spec: WrittenSpec, offer: PlatformOffer): EndpointSpec {
  const { platform = offer.platform, resources, replicas, strategy, rollback } = spec;
  if (platform !== offer.platform) {
    throw refusal('platform', `"${platform}" is not here; this installation has ${offer.platform}`);
  }
  if (!offer.strategies.includes(strategy.type)) {
    const others = offer.strategies.join(' or ');
    throw refusal('strategy.type', `"${strategy.type}" is not supported here; use ${others}`);
  }
  if (platform === 'process') {
    if (typeof replicas !== 'number') {
      throw refusal('replicas', 'must be a number: processes of one machine do not scale with the load');
    }
    const { cpu, memoryMiB = 1024 } = resources;
    return {
      ...spec,
      platform,
      resources: { cpu, memoryMiB },
      rollback: { keepPreviousSeconds: 600, ...rollback },
    };
  }
  requireMinutes(strategy);
  if (rollback.keepPreviousSeconds) {
    const why = 'ECS keeps the revision before only while the new one bakes; use strategy.bakeSeconds';
    throw refusal('rollback.keepPreviousSeconds', why);
  }
  return {
    ...spec,
    platform,
    resources: fargateResources(resources),
    rollback: { ...rollback, keepPreviousSeconds: 0 },
  };
}

/** ECS counts bake times in whole minutes, and shares in tenths of a percent. */
function requireMinutes(strategy: Strategy): void {
  for (const [name, value] of Object.entries(strategy)) {
    const whole = name.endsWith('Seconds') ? 60 : name.endsWith('Percent') ? 0.1 : undefined;
    if (whole === undefined || isMultiple(Number(value), whole)) continue;
    const unit = whole === 60 ? 'a multiple of 60: ECS counts in minutes' : 'a multiple of 0.1';
    throw new CairnError('INVALID_ARGUMENT', `strategy.${name} must be ${unit}.`, `strategy.${name}`);
  }
}

const isMultiple = (value: number, of: number) => Math.abs(value / of - Math.round(value / of)) < 1e-9;

const range = (from: number, to: number, step: number) =>
  Array.from({ length: (to - from) / step + 1 }, (_, index) => 1024 * (from + index * step));

/**
 * MiB of memory that Fargate has for so many vCPU.
 * Source: https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html, "Task CPU and memory".
 */
const FARGATE: ReadonlyMap<number, readonly number[]> = new Map([
  [0.25, [512, 1024, 2048]],
  [0.5, range(1, 4, 1)],
  [1, range(2, 8, 1)],
  [2, range(4, 16, 1)],
  [4, range(8, 30, 1)],
  [8, range(16, 60, 4)],
  [16, range(32, 120, 8)],
]);

function fargateResources({ cpu, memoryMiB }: WrittenSpec['resources']): Resources {
  const sizes = FARGATE.get(cpu);
  const [least = 0] = sizes ?? [];
  if (!sizes) {
    const cpus = [...FARGATE.keys()].join(', ');
    throw new CairnError('INVALID_ARGUMENT', `Fargate has ${cpus} vCPU, not ${cpu}.`, 'resources.cpu');
  }
  if (memoryMiB !== undefined && !sizes.includes(memoryMiB)) {
    const larger = sizes.find((size) => size > memoryMiB) ?? sizes.at(-1);
    const detail = `Fargate has no ${memoryMiB} MiB for ${cpu} vCPU; the next is ${larger}.`;
    throw new CairnError('INVALID_ARGUMENT', detail, 'resources.memoryMiB');
  }
  return { cpu, memoryMiB: memoryMiB ?? least };
}

const refusal = (field: string, why: string) => new CairnError('NOT_SUPPORTED', `${field}: ${why}.`, field);
