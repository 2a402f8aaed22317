import { Duration, type RemovalPolicy } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type LifecycleRule,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';

interface PrivateBucketProps {
  readonly key: IKey;
  readonly removalPolicy: RemovalPolicy;
  /** Whether its objects are deleted with it; a bucket that has some cannot be. */
  readonly emptied: boolean;
  /** Days that a version of an object that was replaced or deleted can still be had back. */
  readonly noncurrentDays: number;
  readonly lifecycle?: readonly LifecycleRule[];
}

/** An open upload lives for seven days: parts that are older belong to nobody. */
const ABANDONED_UPLOAD = Duration.days(8);

/** A bucket that only this account's roles and the URLs they sign can reach, over TLS, encrypted and versioned. */
export class PrivateBucket extends Construct {
  readonly bucket: Bucket;

  constructor(scope: Construct, id: string, props: PrivateBucketProps) {
    super(scope, id);
    const { key, removalPolicy, emptied, noncurrentDays, lifecycle = [] } = props;
    this.bucket = new Bucket(this, 'Bucket', {
      encryption: BucketEncryption.KMS,
      encryptionKey: key,
      bucketKeyEnabled: true,
      blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
      objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      versioned: true,
      removalPolicy,
      autoDeleteObjects: emptied,
      lifecycleRules: [
        {
          id: 'abandoned',
          abortIncompleteMultipartUploadAfter: ABANDONED_UPLOAD,
          noncurrentVersionExpiration: Duration.days(noncurrentDays),
          expiredObjectDeleteMarker: true,
        },
        ...lifecycle,
      ],
    });
    const noAccessLog =
      'Every change and every signed URL is in the audit trail; server access logs would need a second bucket that grows for ever. CloudTrail data events give them to who wants them.';
    acknowledge(this.bucket, { 'AwsSolutions-S1': noAccessLog, CKV_AWS_18: noAccessLog });
  }
}
