import { tableContract } from '../contract/table.ts';
import { requestsFitTheirDescriptions } from './aws-described.ts';
import { startDynamoTable } from './aws-dynamodb-local.ts';

tableContract('DynamoDB Local', startDynamoTable);

requestsFitTheirDescriptions(['dynamodb:BatchGetItem', 'dynamodb:Query', 'dynamodb:TransactWriteItems']);
