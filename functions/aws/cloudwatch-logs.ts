import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { ecsLogs } from '../../shared/adapters/aws/ecs-logs.ts';
import type { Clock } from '../../shared/ports/clock.ts';

export const openLogs = (logGroup: string, clock: Clock) =>
  ecsLogs({ client: new CloudWatchLogsClient({}), logGroup, clock });
