import { Aws } from 'aws-cdk-lib';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { allow } from './allow.ts';

/** Where Cairn's metrics are: `NAMESPACE` of shared/monitoring/metrics.ts. */
const NAMESPACE = 'Cairn';

const cloudwatch = (resource: string, region: string = Aws.REGION) =>
  `arn:${Aws.PARTITION}:cloudwatch:${region}:${Aws.ACCOUNT_ID}:${resource}`;

/** The reading half of the `AlarmService` port. */
export const readAlarms = (): PolicyStatement[] => [
  // A list is a list of all alarms: its prefix is a filter, not a resource.
  allow('ReadAlarms', ['cloudwatch:DescribeAlarms'], [cloudwatch('alarm:*')]),
  // GetMetricData takes no resource.
  allow('ReadMetrics', ['cloudwatch:GetMetricData'], ['*']),
  allow('ReadDashboards', ['cloudwatch:GetDashboard'], [cloudwatch('dashboard/cairn-*', '')]),
];

/** The whole `AlarmService` port. */
export const writeAlarms = (): PolicyStatement[] => [
  ...readAlarms(),
  allow('WriteAlarms', ['cloudwatch:PutMetricAlarm', 'cloudwatch:DeleteAlarms'], [cloudwatch('alarm:cairn/*')]),
  allow(
    'WriteDashboards',
    ['cloudwatch:PutDashboard', 'cloudwatch:DeleteDashboards'],
    [cloudwatch('dashboard/cairn-*', '')],
  ),
  // PutMetricData takes no resource, but a namespace.
  allow('PublishMetrics', ['cloudwatch:PutMetricData'], ['*'], {
    StringEquals: { 'cloudwatch:namespace': NAMESPACE },
  }),
];
