import { Aws, Duration } from 'aws-cdk-lib';
import type { ICluster } from 'aws-cdk-lib/aws-ecs';
import { Match, Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';

interface TimersProps {
  readonly queue: IQueue;
  readonly webhooks: IQueue;
  readonly cluster: ICluster | undefined;
}

/**
 * What wakes `reconcile` besides the API: messages `{"task": …}` at intervals, and ECS' own events as they are when a
 * deployment or a task of Cairn's cluster changes.
 */
export class Timers extends Construct {
  constructor(scope: Construct, id: string, { queue, webhooks, cluster }: TimersProps) {
    super(scope, id);
    const every = (name: string, interval: Duration, task: 'reconcile' | 'checkpoint' | 'clean-up') =>
      new Rule(this, name, {
        description: `Cairn: ${task}`,
        schedule: Schedule.rate(interval),
        targets: [new SqsQueue(queue, { message: RuleTargetInput.fromObject({ task }) })],
      });
    every('Checkpoint', Duration.minutes(5), 'checkpoint');
    every('CleanUp', Duration.hours(1), 'clean-up');
    new Rule(this, 'LostWebhooks', {
      description: 'Cairn: what waits for webhooks and has lost its message',
      schedule: Schedule.rate(Duration.minutes(5)),
      targets: [new SqsQueue(webhooks, { message: RuleTargetInput.fromObject({ task: 'lost' }) })],
    });
    if (!cluster) return;
    every('Reconcile', Duration.minutes(1), 'reconcile');
    new Rule(this, 'TaskChanges', {
      description: 'Cairn: a task of a revision started or stopped, or a service cannot start one',
      eventPattern: {
        source: ['aws.ecs'],
        detailType: ['ECS Task State Change', 'ECS Service Action'],
        detail: { clusterArn: [cluster.clusterArn] },
      },
      targets: [new SqsQueue(queue)],
    });
    // These name no cluster, but the service, whose ARN begins with it.
    new Rule(this, 'DeploymentChanges', {
      description: 'Cairn: a deployment of a revision ended',
      eventPattern: {
        source: ['aws.ecs'],
        detailType: ['ECS Deployment State Change'],
        resources: Match.prefix(
          `arn:${Aws.PARTITION}:ecs:${Aws.REGION}:${Aws.ACCOUNT_ID}:service/${cluster.clusterName}/`,
        ),
      },
      targets: [new SqsQueue(queue)],
    });
  }
}
