import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import { Table } from 'aws-cdk-lib/aws-dynamodb';
import type { Code } from 'aws-cdk-lib/aws-lambda';
import { EmailSubscription } from 'aws-cdk-lib/aws-sns-subscriptions';
import type { Construct } from 'constructs';
import type { FunctionName } from './bundle.ts';
import type { Config } from './config.ts';
import { ApiGateway } from './constructs/api-gateway.ts';
import { DataPlane } from './constructs/data-plane.ts';
import { DeadLetters } from './constructs/dead-letters.ts';
import { Functions } from './constructs/functions.ts';
import { NotificationTopic } from './constructs/notification-topic.ts';
import { OperationsAlarms } from './constructs/operations-alarms.ts';
import { OperationsDashboard } from './constructs/operations-dashboard.ts';
import { RevisionFilesDoor } from './constructs/revision-files-door.ts';
import { ServingPlatform } from './constructs/serving-platform.ts';
import { TIMEOUTS } from './constructs/timeouts.ts';
import { Timers } from './constructs/timers.ts';
import { WorkQueue } from './constructs/work-queue.ts';
import type { DataStack } from './data-stack.ts';

interface ServiceStackProps extends StackProps {
  readonly config: Config;
  readonly code: (name: FunctionName) => Code;
  readonly data: DataStack;
}

/** All that can be made anew: API, functions, topics and queues, what watches Cairn, and what endpoints run on. */
export class ServiceStack extends Stack {
  constructor(scope: Construct, id: string, { config, code, data, ...props }: ServiceStackProps) {
    super(scope, id, props);
    const key = data.keys.data;
    const table = config.restoredTable
      ? Table.fromTableAttributes(this, 'RestoredTable', {
          tableName: config.restoredTable,
          encryptionKey: key,
        })
      : data.table.table;
    const alarms = new NotificationTopic(this, 'Alarms', {
      key,
      displayName: 'Cairn: alarms of endpoints',
      fromAlarms: true,
    });
    const events = new NotificationTopic(this, 'Events', {
      key,
      displayName: 'Cairn: what happened',
      fromAlarms: false,
    });
    const operations = new NotificationTopic(this, 'Operations', {
      key,
      displayName: 'Cairn: alarms of Cairn itself',
      fromAlarms: true,
    });
    if (config.alarmEmail) operations.topic.addSubscription(new EmailSubscription(config.alarmEmail));

    const verify = new WorkQueue(this, 'Verify', { timeout: TIMEOUTS.verifyUpload });
    const reconcile = new WorkQueue(this, 'Reconcile', { timeout: TIMEOUTS.reconcile });
    const webhooks = new WorkQueue(this, 'Webhooks', { timeout: TIMEOUTS.deliverWebhook });
    const alarmDeadLetters = new DeadLetters(this, 'UnhandledAlarms').queue;
    const platform = config.serving ? new ServingPlatform(this, 'Serving', { config, key }) : undefined;
    const gateway = new ApiGateway(this, 'Gateway', { config, key });
    const functions = new Functions(this, 'Functions', {
      config,
      code,
      data,
      table,
      alarms,
      events,
      verify,
      reconcile,
      webhooks,
      alarmDeadLetters,
      platform,
      url: gateway.url,
    });
    gateway.serve(functions.api);
    if (platform && functions.authorizer) {
      new DataPlane(this, 'DataPlane', { config, gateway, platform, authorizer: functions.authorizer });
    }
    if (platform && functions.revisionFiles) {
      new RevisionFilesDoor(this, 'RevisionFiles', { config, platform, handler: functions.revisionFiles });
    }
    new Timers(this, 'Timers', {
      queue: reconcile.queue,
      webhooks: webhooks.queue,
      cluster: platform?.cluster.cluster,
    });
    const watched = {
      functions: functions.all,
      api: gateway.api,
      deadLetters: {
        incoming: data.incoming.arrivals.deadLetters,
        verify: verify.deadLetters,
        reconcile: reconcile.deadLetters,
        webhooks: webhooks.deadLetters,
        alarms: alarmDeadLetters,
      },
      table,
      balancer: platform?.balancer.balancer,
    };
    new OperationsAlarms(this, 'Watch', { ...watched, topic: operations.topic });
    new OperationsDashboard(this, 'Dashboard', watched);

    new CfnOutput(this, 'ApiUrl', { value: gateway.url });
    new CfnOutput(this, 'EventTopic', { value: events.topic.topicArn });
    new CfnOutput(this, 'OperationsTopic', { value: operations.topic.topicArn });
    if (gateway.domainTarget) new CfnOutput(this, 'DomainTarget', { value: gateway.domainTarget });
    if (platform) {
      new CfnOutput(this, 'Cluster', { value: platform.cluster.cluster.clusterName });
      new CfnOutput(this, 'LoadBalancer', { value: platform.balancer.balancer.loadBalancerDnsName });
    }
  }
}
