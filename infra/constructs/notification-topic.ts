import { Aws } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';

interface NotificationTopicProps {
  readonly key: IKey;
  readonly displayName: string;
  /** Whether CloudWatch alarms of this account may publish. */
  readonly fromAlarms: boolean;
}

/** An encrypted topic that takes messages over TLS only. */
export class NotificationTopic extends Construct {
  readonly topic: Topic;

  constructor(scope: Construct, id: string, { key, displayName, fromAlarms }: NotificationTopicProps) {
    super(scope, id);
    this.topic = new Topic(this, 'Topic', { masterKey: key, displayName, enforceSSL: true });
    if (!fromAlarms) return;
    this.topic.addToResourcePolicy(
      new PolicyStatement({
        sid: 'AlarmsOfThisAccount',
        principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
        actions: ['sns:Publish'],
        resources: [this.topic.topicArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    );
  }
}
