import { Aws } from 'aws-cdk-lib';
import type { IRepository } from 'aws-cdk-lib/aws-ecr';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { allow } from '../permissions/allow.ts';
import { acknowledge } from './acknowledge.ts';
import type { EndpointBalancer } from './endpoint-balancer.ts';

interface TaskRolesProps {
  readonly balancer: EndpointBalancer;
  readonly logGroup: LogGroup;
  /** The repository of the image that Cairn builds; images from elsewhere are pulled by their own policy. */
  readonly repository?: IRepository | undefined;
}

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
    this.execution.addToPolicy(
      allow('TaskLogs', ['logs:CreateLogStream', 'logs:PutLogEvents'], [logGroup.logGroupArn]),
    );
    const images = repository?.repositoryArn ?? `arn:${Aws.PARTITION}:ecr:${Aws.REGION}:${Aws.ACCOUNT_ID}:repository/*`;
    this.execution.addToPolicy(
      allow(
        'PullImage',
        ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
        [images],
      ),
    );
    // GetAuthorizationToken takes no resource.
    this.execution.addToPolicy(allow('LogInToRegistry', ['ecr:GetAuthorizationToken'], ['*']));
    this.task = new Role(this, 'Task', { description: 'Cairn: what a model server may do: nothing', assumedBy: tasks });
    this.infrastructure = new Role(this, 'Infrastructure', {
      description: 'Cairn: ECS shifts traffic between the target groups of an endpoint',
      assumedBy: new ServicePrincipal('ecs.amazonaws.com', { conditions: ofThisAccount }),
    });
    for (const statement of shiftTraffic(balancer)) this.infrastructure.addToPolicy(statement);
    const reasons = {
      'AwsSolutions-IAM5':
        'Resources end in * below a name that Cairn owns, or are * where the action takes no resource: each has its reason beside the statement.',
    };
    acknowledge(this.execution, reasons);
    acknowledge(this.infrastructure, reasons);
  }
}

/** AmazonECSInfrastructureRolePolicyForLoadBalancers, for this load balancer's rules and Cairn's target groups alone. */
function shiftTraffic({ balancer }: EndpointBalancer) {
  const elb = `arn:${Aws.PARTITION}:elasticloadbalancing:${Aws.REGION}:${Aws.ACCOUNT_ID}`;
  return [
    // What describes takes no resource.
    allow(
      'SeeLoadBalancer',
      [
        'elasticloadbalancing:DescribeListeners',
        'elasticloadbalancing:DescribeRules',
        'elasticloadbalancing:DescribeTargetGroups',
        'elasticloadbalancing:DescribeTargetHealth',
      ],
      ['*'],
    ),
    allow(
      'Targets',
      ['elasticloadbalancing:RegisterTargets', 'elasticloadbalancing:DeregisterTargets'],
      [`${elb}:targetgroup/cairn-*/*`],
    ),
    allow('ShiftRules', ['elasticloadbalancing:ModifyRule'], [`${elb}:listener-rule/${balancer.loadBalancerFullName}/*`]),
    allow('ShiftListeners', ['elasticloadbalancing:ModifyListener'], [
      `${elb}:listener/${balancer.loadBalancerFullName}/*`,
    ]),
  ];
}
