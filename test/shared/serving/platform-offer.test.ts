import { describe, expect, test } from 'vitest';
import { parseEndpointSpec } from '../../../shared/serving/endpoint-spec.ts';
import {
  ON_ECS,
  ON_ECS_ROLLING,
  ON_PROCESSES,
  type PlatformOffer,
} from '../../../shared/serving/platform-offer.ts';

const spec = (changes: object) => ({ model: 'digits', target: { version: 1 }, ...changes });
const refusal = (changes: object, offer: PlatformOffer) => {
  try {
    return parseEndpointSpec(spec(changes), offer);
  } catch (error) {
    return error;
  }
};

describe('a spec gets what its platform decides', () => {
  test('on processes, as before there were others', () => {
    expect(parseEndpointSpec(spec({}))).toMatchObject({
      platform: 'process',
      resources: { cpu: 1, memoryMiB: 1024 },
      replicas: 1,
      rollback: { onAlarm: true, keepPreviousSeconds: 600 },
    });
  });

  test('on ECS, where memory follows from the cpu and nothing is kept after the bake', () => {
    const replicas = { min: 2, max: 6 };
    expect(parseEndpointSpec(spec({ replicas, resources: { cpu: 4 } }), ON_ECS)).toMatchObject({
      platform: 'ecs',
      resources: { cpu: 4, memoryMiB: 8192 },
      replicas,
      rollback: { onAlarm: true, keepPreviousSeconds: 0 },
    });
  });

  test.each(['all-at-once', 'blue-green', 'canary', 'linear'])('ECS rolls out %s', (type) => {
    expect(parseEndpointSpec(spec({ strategy: { type } }), ON_ECS).strategy.type).toBe(type);
  });

  test('twice is the same as once', () => {
    const once = parseEndpointSpec(spec({ strategy: { type: 'linear' } }), ON_ECS);
    expect(parseEndpointSpec(once, ON_ECS)).toEqual(once);
  });
});

describe('a spec is refused, naming the field and what to write instead,', () => {
  test.each<[string, object, PlatformOffer, object]>([
    [
      'for blue-green on processes',
      { strategy: { type: 'blue-green' } },
      ON_PROCESSES,
      {
        code: 'NOT_SUPPORTED',
        field: 'strategy.type',
        detail: 'strategy.type: "blue-green" is not supported here; use all-at-once or canary.',
      },
    ],
    [
      'for linear on processes',
      { strategy: { type: 'linear' } },
      ON_PROCESSES,
      { code: 'NOT_SUPPORTED', field: 'strategy.type' },
    ],
    [
      'for canary where ECS may not shift traffic',
      { strategy: { type: 'canary' } },
      ON_ECS_ROLLING,
      { code: 'NOT_SUPPORTED', field: 'strategy.type' },
    ],
    ['for another platform', { platform: 'ecs' }, ON_PROCESSES, { code: 'NOT_SUPPORTED', field: 'platform' }],
    ['for processes on AWS', { platform: 'process' }, ON_ECS, { code: 'NOT_SUPPORTED', field: 'platform' }],
    [
      'for a range of processes',
      { replicas: { min: 1, max: 2 } },
      ON_PROCESSES,
      { code: 'NOT_SUPPORTED', field: 'replicas' },
    ],
    [
      'for a range the wrong way round',
      { replicas: { min: 2, max: 1 } },
      ON_ECS,
      { code: 'INVALID_ARGUMENT', field: 'replicas.max' },
    ],
    [
      'for half a minute on ECS',
      { strategy: { type: 'canary', canarySeconds: 90 } },
      ON_ECS,
      { code: 'INVALID_ARGUMENT', field: 'strategy.canarySeconds' },
    ],
    [
      'for a hundredth of a percent on ECS',
      { strategy: { type: 'canary', canaryPercent: 0.15 } },
      ON_ECS,
      { code: 'INVALID_ARGUMENT', field: 'strategy.canaryPercent' },
    ],
    [
      'for memory that Fargate has not',
      { resources: { cpu: 1, memoryMiB: 3000 } },
      ON_ECS,
      {
        code: 'INVALID_ARGUMENT',
        field: 'resources.memoryMiB',
        detail: 'Fargate has no 3000 MiB for 1 vCPU; the next is 3072.',
      },
    ],
    [
      'for three vCPU',
      { resources: { cpu: 3 } },
      ON_ECS,
      { code: 'INVALID_ARGUMENT', field: 'resources.cpu' },
    ],
    [
      'for a revision kept after its successor’s bake on ECS',
      { rollback: { keepPreviousSeconds: 600 } },
      ON_ECS,
      { code: 'NOT_SUPPORTED', field: 'rollback.keepPreviousSeconds' },
    ],
  ])('%s', (_, changes, offer, expected) => {
    expect(refusal(changes, offer)).toMatchObject(expected);
  });
});
