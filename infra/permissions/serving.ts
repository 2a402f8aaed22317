import { Aws } from 'aws-cdk-lib';
import type { ServingPlatform } from '../constructs/serving-platform.ts';
import { allow, type Permission } from './allow.ts';

const arn = (service: string, resource: string) =>
  `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${resource}`;

const OWN =
  'Made and removed at run time, for each revision; in Cairn’s cluster, on its load balancer, or by its name.';

/** The `ServingPlatform` port on ECS: what it makes is called `cairn-…`, or is in Cairn's cluster or on its load balancer. */
export function runRevisions({ cluster, balancer, roles }: ServingPlatform): Permission[] {
  const name = cluster.cluster.clusterName;
  const family = arn('ecs', 'task-definition/cairn-*:*');
  const services = arn('ecs', `service/${name}/*`);
  const deployments = [
    services,
    arn('ecs', `service-deployment/${name}/*`),
    arn('ecs', `service-revision/${name}/*`),
  ];
  const rules = arn('elasticloadbalancing', `listener-rule/${balancer.balancer.loadBalancerFullName}/*`);
  const targetGroups = arn('elasticloadbalancing', 'targetgroup/cairn-*/*');
  const listeners = [balancer.listener.listenerArn, balancer.testListener.listenerArn];
  return [
    allow('TaskDefinitions', ['ecs:RegisterTaskDefinition', 'ecs:DeleteTaskDefinitions'], [family], {
      wildcard: OWN,
    }),
    allow(
      'AnyTaskDefinition',
      [
        'ecs:DescribeTaskDefinition',
        'ecs:DeregisterTaskDefinition',
        'ecs:ListTaskDefinitions',
        'ecs:ListTaskDefinitionFamilies',
      ],
      ['*'],
      { wildcard: 'These take no resource.' },
    ),
    allow(
      'Services',
      ['ecs:CreateService', 'ecs:UpdateService', 'ecs:DeleteService', 'ecs:DescribeServices'],
      [services],
      { wildcard: OWN },
    ),
    allow('Lists', ['ecs:ListServices', 'ecs:ListTasks'], ['*'], {
      conditions: { ArnEquals: { 'ecs:cluster': cluster.cluster.clusterArn } },
      wildcard: 'A list takes no resource, but a cluster.',
    }),
    allow('Tasks', ['ecs:DescribeTasks'], [arn('ecs', `task/${name}/*`)], { wildcard: OWN }),
    allow(
      'Deployments',
      [
        'ecs:ListServiceDeployments',
        'ecs:DescribeServiceDeployments',
        'ecs:DescribeServiceRevisions',
        'ecs:StopServiceDeployment',
      ],
      deployments,
      { wildcard: OWN },
    ),
    allow('Tag', ['ecs:TagResource'], [family, services], { wildcard: OWN }),
    allow('PassTaskRoles', ['iam:PassRole'], [roles.execution.roleArn, roles.task.roleArn], {
      conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
    }),
    allow('PassInfrastructureRole', ['iam:PassRole'], [roles.infrastructure.roleArn], {
      conditions: { StringEquals: { 'iam:PassedToService': 'ecs.amazonaws.com' } },
    }),
    allow(
      'SeeLoadBalancer',
      ['elasticloadbalancing:DescribeRules', 'elasticloadbalancing:DescribeTargetGroups'],
      ['*'],
      { wildcard: 'What describes load balancing takes no resource.' },
    ),
    allow('MakeRules', ['elasticloadbalancing:CreateRule'], listeners),
    allow('Rules', ['elasticloadbalancing:DeleteRule'], [rules], { wildcard: OWN }),
    allow(
      'TargetGroups',
      [
        'elasticloadbalancing:CreateTargetGroup',
        'elasticloadbalancing:ModifyTargetGroupAttributes',
        'elasticloadbalancing:DeleteTargetGroup',
      ],
      [targetGroups],
      { wildcard: OWN },
    ),
    allow('TagLoadBalancing', ['elasticloadbalancing:AddTags'], [targetGroups, rules, ...listeners], {
      wildcard: OWN,
    }),
    allow(
      'Scaling',
      [
        'application-autoscaling:RegisterScalableTarget',
        'application-autoscaling:PutScalingPolicy',
        'application-autoscaling:DeregisterScalableTarget',
      ],
      [arn('application-autoscaling', 'scalable-target/*')],
      {
        conditions: { StringEqualsIfExists: { 'application-autoscaling:service-namespace': 'ecs' } },
        wildcard: 'A scalable target’s id is made by AWS; the condition leaves those of ECS services.',
      },
    ),
    allow(
      'FirstScalableTarget',
      ['iam:CreateServiceLinkedRole'],
      [
        `arn:${Aws.PARTITION}:iam::${Aws.ACCOUNT_ID}:role/aws-service-role/ecs.application-autoscaling.${Aws.URL_SUFFIX}/AWSServiceRoleForApplicationAutoScaling_ECSService`,
      ],
      {
        conditions: {
          StringEquals: { 'iam:AWSServiceName': `ecs.application-autoscaling.${Aws.URL_SUFFIX}` },
        },
      },
    ),
  ];
}

/** Reading what containers wrote: `ServingPlatform.logs`. */
export const readContainerLogs = ({ cluster }: ServingPlatform): Permission =>
  allow('ReadContainerLogs', ['logs:FilterLogEvents'], [cluster.logGroup.logGroupArn], {
    wildcard: 'The group’s streams: a log group’s ARN ends so.',
  });
