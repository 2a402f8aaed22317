import { Aws } from 'aws-cdk-lib';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { ServingPlatform } from '../constructs/serving-platform.ts';
import { allow } from './allow.ts';

const arn = (service: string, resource: string) =>
  `arn:${Aws.PARTITION}:${service}:${Aws.REGION}:${Aws.ACCOUNT_ID}:${resource}`;

/** The `ServingPlatform` port on ECS: what it makes is called `cairn-…`, or is in Cairn's cluster or on its load balancer. */
export function runRevisions({ cluster, balancer, roles }: ServingPlatform): PolicyStatement[] {
  const name = cluster.cluster.clusterName;
  const inCluster = { ArnEquals: { 'ecs:cluster': cluster.cluster.clusterArn } };
  const family = arn('ecs', 'task-definition/cairn-*:*');
  const services = arn('ecs', `service/${name}/*`);
  const deployments = [services, arn('ecs', `service-deployment/${name}/*`)];
  const rules = arn('elasticloadbalancing', `listener-rule/${balancer.balancer.loadBalancerFullName}/*`);
  const targetGroups = arn('elasticloadbalancing', 'targetgroup/cairn-*/*');
  const listeners = [balancer.listener.listenerArn, balancer.testListener.listenerArn];
  return [
    allow('TaskDefinitions', ['ecs:RegisterTaskDefinition', 'ecs:DeleteTaskDefinitions'], [family]),
    // These two take no resource.
    allow('AnyTaskDefinition', ['ecs:DescribeTaskDefinition', 'ecs:DeregisterTaskDefinition'], ['*']),
    allow(
      'Services',
      ['ecs:CreateService', 'ecs:UpdateService', 'ecs:DeleteService', 'ecs:DescribeServices'],
      [services],
    ),
    // A list takes no resource, but a cluster.
    allow('Lists', ['ecs:ListServices', 'ecs:ListTasks'], ['*'], inCluster),
    allow('Tasks', ['ecs:DescribeTasks'], [arn('ecs', `task/${name}/*`)]),
    allow(
      'Deployments',
      ['ecs:ListServiceDeployments', 'ecs:DescribeServiceDeployments', 'ecs:StopServiceDeployment'],
      deployments,
    ),
    allow('Tag', ['ecs:TagResource'], [family, services]),
    allow('PassTaskRoles', ['iam:PassRole'], [roles.execution.roleArn, roles.task.roleArn], {
      StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' },
    }),
    allow('PassInfrastructureRole', ['iam:PassRole'], [roles.infrastructure.roleArn], {
      StringEquals: { 'iam:PassedToService': 'ecs.amazonaws.com' },
    }),
    // What describes takes no resource.
    allow(
      'SeeLoadBalancer',
      [
        'elasticloadbalancing:DescribeRules',
        'elasticloadbalancing:DescribeTargetGroups',
        'elasticloadbalancing:DescribeTargetHealth',
      ],
      ['*'],
    ),
    allow('MakeRules', ['elasticloadbalancing:CreateRule'], listeners),
    allow('Rules', ['elasticloadbalancing:ModifyRule', 'elasticloadbalancing:DeleteRule'], [rules]),
    allow(
      'TargetGroups',
      [
        'elasticloadbalancing:CreateTargetGroup',
        'elasticloadbalancing:ModifyTargetGroupAttributes',
        'elasticloadbalancing:DeleteTargetGroup',
      ],
      [targetGroups],
    ),
    allow('TagLoadBalancing', ['elasticloadbalancing:AddTags'], [targetGroups, rules, ...listeners]),
    allow(
      'Scaling',
      [
        'application-autoscaling:RegisterScalableTarget',
        'application-autoscaling:PutScalingPolicy',
        'application-autoscaling:DeregisterScalableTarget',
      ],
      [arn('application-autoscaling', 'scalable-target/*')],
      { StringEqualsIfExists: { 'application-autoscaling:service-namespace': 'ecs' } },
    ),
  ];
}

/** Reading what containers wrote: `ServingPlatform.logs`. */
export const readContainerLogs = ({ cluster }: ServingPlatform): PolicyStatement =>
  allow('ReadContainerLogs', ['logs:FilterLogEvents'], [cluster.logGroup.logGroupArn]);
