import type { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, Billing, TableEncryptionV2, TableV2 } from 'aws-cdk-lib/aws-dynamodb';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';

/** The `Table` port's items: on demand, encrypted, restorable to any second of the last 35 days. */
export class MetadataTable extends Construct {
  readonly table: TableV2;

  constructor(
    scope: Construct,
    id: string,
    { key, removalPolicy, deletionProtection }: { key: IKey; removalPolicy: RemovalPolicy; deletionProtection: boolean },
  ) {
    super(scope, id);
    this.table = new TableV2(this, 'Table', {
      partitionKey: { name: 'pk', type: AttributeType.STRING },
      sortKey: { name: 'sk', type: AttributeType.STRING },
      billing: Billing.onDemand(),
      encryption: TableEncryptionV2.customerManagedKey(key),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      timeToLiveAttribute: 'expiresAt',
      deletionProtection,
      removalPolicy,
    });
  }
}
