import { CfnOutput, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Config } from './config.ts';
import { AdminToken } from './constructs/admin-token.ts';
import { EncryptionKeys } from './constructs/encryption-keys.ts';
import { IncomingBucket } from './constructs/incoming-bucket.ts';
import { MetadataTable } from './constructs/metadata-table.ts';
import { PrivateBucket } from './constructs/private-bucket.ts';
import { TIMEOUTS } from './constructs/timeouts.ts';

/** Days that an object that Cairn removed as garbage can still be had back. */
const GARBAGE_DAYS = 30;

/** All that must outlive an update: keys, table, buckets, and the first admin token. */
export class DataStack extends Stack {
  readonly keys: EncryptionKeys;
  readonly table: MetadataTable;
  readonly models: PrivateBucket;
  readonly incoming: IncomingBucket;
  readonly adminToken: AdminToken;

  constructor(scope: Construct, id: string, { config, ...props }: StackProps & { config: Config }) {
    super(scope, id, { ...props, terminationProtection: config.removalPolicy === 'retain' });
    const removalPolicy = config.removalPolicy === 'retain' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY;
    this.keys = new EncryptionKeys(this, 'Keys', { removalPolicy });
    const kept = { key: this.keys.data, removalPolicy };
    const bucket = { ...kept, emptied: config.removalPolicy === 'destroy' && !config.emulator };
    this.table = new MetadataTable(this, 'Metadata', {
      ...kept,
      deletionProtection: config.removalPolicy === 'retain',
    });
    this.models = new PrivateBucket(this, 'Models', { ...bucket, noncurrentDays: GARBAGE_DAYS });
    this.incoming = new IncomingBucket(this, 'Incoming', { ...bucket, timeout: TIMEOUTS.registerUpload });
    this.adminToken = new AdminToken(this, 'AdminToken', kept);

    // Exported whether they are used or not, so that cairn:restoredTable can come and go.
    for (const value of [this.table.table.tableArn, this.table.table.tableName]) this.exportValue(value);

    new CfnOutput(this, 'Table', { value: this.table.table.tableName });
    new CfnOutput(this, 'ModelBucket', { value: this.models.bucket.bucketName });
    new CfnOutput(this, 'IncomingBucket', { value: this.incoming.bucket.bucketName });
    new CfnOutput(this, 'AdminTokenSecret', { value: this.adminToken.secret.secretArn });
    new CfnOutput(this, 'SigningKey', { value: this.keys.signing.keyArn });
  }
}
