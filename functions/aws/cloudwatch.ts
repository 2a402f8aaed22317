import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { openCloudWatchAlarmService } from '../../shared/adapters/aws/cloudwatch-alarm-service.ts';

export const openAlarms = (topicArn: string) =>
  openCloudWatchAlarmService({ client: new CloudWatchClient({}), topicArn });
