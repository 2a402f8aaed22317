import type { DeploymentConfiguration } from '@aws-sdk/client-ecs';
import type { TrafficStrategy } from '../../ports/serving-platform.ts';

/**
 * ECS's own strategies. All at once is BLUE_GREEN: all traffic moves in one go and the old tasks stay while it bakes, which
 * ROLLING, for installations where ECS may not shift traffic, does not give. The circuit breaker gives up a deployment
 * whose tasks do not start; alarms that go to ALARM while it runs roll it back.
 */
export function deploymentConfiguration(
  strategy: TrafficStrategy,
  alarms: readonly string[],
  shifts: boolean,
): DeploymentConfiguration {
  const watched = alarms.length > 0;
  return {
    ...(shifts
      ? { ...shifting(strategy), bakeTimeInMinutes: strategy.bakeSeconds / 60 }
      : { strategy: 'ROLLING' }),
    maximumPercent: 200,
    minimumHealthyPercent: 100,
    alarms: { alarmNames: [...alarms], enable: watched, rollback: watched },
    deploymentCircuitBreaker: { enable: true, rollback: true },
  };
}

function shifting(strategy: TrafficStrategy): DeploymentConfiguration {
  switch (strategy.type) {
    case 'all-at-once':
    case 'blue-green':
      return { strategy: 'BLUE_GREEN' };
    case 'canary': {
      const { canaryPercent, canarySeconds } = strategy;
      const canaryConfiguration = { canaryPercent, canaryBakeTimeInMinutes: canarySeconds / 60 };
      return { strategy: 'CANARY', canaryConfiguration };
    }
    case 'linear': {
      const { stepPercent, stepSeconds } = strategy;
      return {
        strategy: 'LINEAR',
        linearConfiguration: { stepPercent, stepBakeTimeInMinutes: stepSeconds / 60 },
      };
    }
  }
}
