import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { allow, type Permission } from './allow.ts';
import { keyThrough } from './key-use.ts';

/** The reading half of the `Table` port. */
export const readTable = (table: ITable, key: IKey): Permission[] => [
  allow('ReadTable', ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'], [table.tableArn]),
  keyThrough('dynamodb', key, ['kms:Decrypt']),
];

/** The whole `Table` port. TransactWriteItems has no action of its own: each operation in it needs its own. */
export const writeTable = (table: ITable, key: IKey): Permission[] => [
  ...readTable(table, key),
  allow(
    'WriteTable',
    ['dynamodb:PutItem', 'dynamodb:DeleteItem', 'dynamodb:ConditionCheckItem'],
    [table.tableArn],
  ),
];
