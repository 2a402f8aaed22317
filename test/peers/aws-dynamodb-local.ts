import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { openDynamoTable } from '../../shared/adapters/aws/dynamodb-table.ts';
import type { Table } from '../../shared/ports/table.ts';
import { installed, startLocalServer, TEST_CREDENTIALS, TEST_REGION } from './aws-server.ts';

/** A table in DynamoDB Local's memory. */
export async function startDynamoTable(): Promise<{ table: Table; close(): Promise<void> }> {
  const server = await startLocalServer((port) => ({
    file: 'java',
    args: [
      `-Djava.library.path=${installed('dynamodb-local')}`,
      ...[
        '-cp',
        `${installed('dynamodb-local')}/*`,
        'com.amazonaws.services.dynamodbv2.local.main.ServerRunner',
      ],
      ...['-inMemory', '-disableTelemetry', '-port', String(port)],
    ],
  }));
  const client = new DynamoDBClient({
    endpoint: server.endpoint,
    region: TEST_REGION,
    credentials: TEST_CREDENTIALS,
  });
  await client.send(
    new CreateTableCommand({
      TableName: 'cairn',
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
      AttributeDefinitions: [
        { AttributeName: 'pk', AttributeType: 'S' },
        { AttributeName: 'sk', AttributeType: 'S' },
      ],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  );
  const close = async () => {
    client.destroy();
    await server.stop();
  };
  return { table: openDynamoTable({ client, tableName: 'cairn' }), close };
}
