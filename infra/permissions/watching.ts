import { Aws } from 'aws-cdk-lib';
import type { ServingPlatform } from '../constructs/serving-platform.ts';
import { allow, type Permission } from './allow.ts';

/** Where Cairn's metrics are: `NAMESPACE` of shared/monitoring/metrics.ts. */
const NAMESPACE = 'Cairn';

const OWN = 'Made and removed at run time, one for each endpoint or model; the names are Cairn’s own.';

const cloudwatch = (resource: string, region: string = Aws.REGION) =>
  `arn:${Aws.PARTITION}:cloudwatch:${region}:${Aws.ACCOUNT_ID}:${resource}`;

/** The reading half of the `AlarmService` port. */
export const readAlarms = (): Permission[] => [
  allow('ReadAlarms', ['cloudwatch:DescribeAlarms'], [cloudwatch('alarm:*')], {
    wildcard: 'A list is one of all alarms: its prefix is a filter, not a resource.',
  }),
  allow('ReadMetrics', ['cloudwatch:GetMetricData'], ['*'], { wildcard: 'GetMetricData takes no resource.' }),
  allow('ReadDashboards', ['cloudwatch:GetDashboard'], [cloudwatch('dashboard/cairn-*', '')], {
    wildcard: OWN,
  }),
];

/**
 * The whole `AlarmService` port, and the alarms that PutScalingPolicy makes and removes with its caller's permissions:
 * https://docs.aws.amazon.com/AmazonECS/latest/developerguide/auto-scaling-IAM.html.
 */
export const writeAlarms = ({ cluster }: ServingPlatform): Permission[] => [
  ...readAlarms(),
  allow(
    'WriteAlarms',
    ['cloudwatch:PutMetricAlarm', 'cloudwatch:DeleteAlarms'],
    [
      cloudwatch('alarm:cairn/*'),
      cloudwatch(`alarm:TargetTracking-service/${cluster.cluster.clusterName}/*`),
    ],
    {
      wildcard: OWN,
    },
  ),
  allow(
    'WriteDashboards',
    ['cloudwatch:PutDashboard', 'cloudwatch:DeleteDashboards'],
    [cloudwatch('dashboard/cairn-*', '')],
    { wildcard: OWN },
  ),
  allow('PublishMetrics', ['cloudwatch:PutMetricData'], ['*'], {
    conditions: { StringEquals: { 'cloudwatch:namespace': NAMESPACE } },
    wildcard: 'PutMetricData takes no resource, but a namespace.',
  }),
];
