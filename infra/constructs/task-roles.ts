import { Aws } from 'aws-cdk-lib';
import type { IRepository } from 'aws-cdk-lib/aws-ecr';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { allow } from '../permissions/allow.ts';
import { grant } from '../permissions/grant.ts';
import type { EndpointBalancer } from './endpoint-balancer.ts';

interface TaskRolesProps {
  readonly balancer: EndpointBalancer;
  readonly logGroup: LogGroup;
  /** The repository of the image that Cairn builds; images from elsewhere are pulled by their own policy. */
  readonly repository?: IRepository | undefined;
}

const OWN = 'Target groups and rules are made at run time, on Cairn’s load balancer or by its name.';

const ofThisAccount = { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } };

/**
 * `execution` pulls the image and writes logs for a task; `task` is what the model server itself may do, which is nothing:
 * it gets its version's bytes by URLs that are signed for that revision; `infrastructure` lets ECS shift traffic.
 */
export class TaskRoles extends Construct {
  readonly execution: Role;
  readonly task: Role;
  readonly infrastructure: Role;

  constructor(scope: Construct, id: string, { balancer, logGroup, repository }: TaskRolesProps) {
    super(scope, id);
    const tasks = new ServicePrincipal('ecs-tasks.amazonaws.com', { conditions: ofThisAccount });
    this.execution = new Role(this, 'Execution', {
      description: 'Cairn: starts the tasks of revisions',
      assumedBy: tasks,
    });
    grant(this.execution, [
      allow('TaskLogs', ['logs:CreateLogStream', 'logs:PutLogEvents'], [logGroup.logGroupArn], {
        wildcard: 'The group’s streams: a log group’s ARN ends so.',
      }),
      allow(
        'PullImage',
        ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
        [
          repository?.repositoryArn ??
            `arn:${Aws.PARTITION}:ecr:${Aws.REGION}:${Aws.ACCOUNT_ID}:repository/*`,
        ],
        { wildcard: 'The image is configured: it may be in any repository of the account.' },
      ),
      allow('LogInToRegistry', ['ecr:GetAuthorizationToken'], ['*'], {
        wildcard: 'GetAuthorizationToken takes no resource.',
      }),
    ]);
    this.task = new Role(this, 'Task', {
      description: 'Cairn: what a model server may do: nothing',
      assumedBy: tasks,
    });
    this.infrastructure = new Role(this, 'Infrastructure', {
      description: 'Cairn: ECS shifts traffic between the target groups of an endpoint',
      assumedBy: new ServicePrincipal('ecs.amazonaws.com', { conditions: ofThisAccount }),
    });
    grant(this.infrastructure, shiftTraffic(balancer));
  }
}

/** AmazonECSInfrastructureRolePolicyForLoadBalancers, for this load balancer's rules and Cairn's target groups alone. */
function shiftTraffic({ balancer }: EndpointBalancer) {
  const elb = `arn:${Aws.PARTITION}:elasticloadbalancing:${Aws.REGION}:${Aws.ACCOUNT_ID}`;
  return [
    allow(
      'SeeLoadBalancer',
      [
        'elasticloadbalancing:DescribeListeners',
        'elasticloadbalancing:DescribeRules',
        'elasticloadbalancing:DescribeTargetGroups',
        'elasticloadbalancing:DescribeTargetHealth',
      ],
      ['*'],
      { wildcard: 'What describes load balancing takes no resource.' },
    ),
    allow(
      'Targets',
      ['elasticloadbalancing:RegisterTargets', 'elasticloadbalancing:DeregisterTargets'],
      [`${elb}:targetgroup/cairn-*/*`],
      { wildcard: OWN },
    ),
    allow(
      'ShiftRules',
      ['elasticloadbalancing:ModifyRule'],
      [`${elb}:listener-rule/${balancer.loadBalancerFullName}/*`],
      { wildcard: OWN },
    ),
    allow(
      'ShiftListeners',
      ['elasticloadbalancing:ModifyListener'],
      [`${elb}:listener/${balancer.loadBalancerFullName}/*`],
      { wildcard: OWN },
    ),
  ];
}
