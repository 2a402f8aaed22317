import { tableContract } from '../contract/table.ts';
import { startDynamoTable } from './aws-dynamodb-local.ts';

tableContract('DynamoDB Local', startDynamoTable);
