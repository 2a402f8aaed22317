import { Aws, type Duration, type RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Bucket, CfnBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { PrivateBucket } from './private-bucket.ts';
import { WorkQueue } from './work-queue.ts';

interface IncomingBucketProps {
  readonly key: IKey;
  readonly removalPolicy: RemovalPolicy;
  readonly emptied: boolean;
  readonly timeout: Duration;
}

/** Days that a dropped file that became a version, or was replaced, can still be had back. */
const KEPT_DAYS = 7;

/** Where files are dropped to become versions; S3 tells the queue of each new object. */
export class IncomingBucket extends Construct {
  readonly bucket: Bucket;
  readonly arrivals: WorkQueue;

  constructor(scope: Construct, id: string, { timeout, ...kept }: IncomingBucketProps) {
    super(scope, id);
    this.arrivals = new WorkQueue(this, 'Arrivals', { timeout });
    this.bucket = new PrivateBucket(this, 'Files', { ...kept, noncurrentDays: KEPT_DAYS }).bucket;
    // The bucket depends on the queue's policy, so the policy cannot name the bucket: it names the account.
    const allowed = this.arrivals.queue.addToResourcePolicy(
      new PolicyStatement({
        sid: 'BucketsOfThisAccount',
        principals: [new ServicePrincipal('s3.amazonaws.com')],
        actions: ['sqs:SendMessage'],
        resources: [this.arrivals.queue.queueArn],
        conditions: { StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID } },
      }),
    );
    const resource = this.bucket.node.defaultChild as CfnBucket;
    resource.notificationConfiguration = {
      queueConfigurations: [{ event: 's3:ObjectCreated:*', queue: this.arrivals.queue.queueArn }],
    };
    if (allowed.policyDependable) resource.node.addDependency(allowed.policyDependable);
  }
}
