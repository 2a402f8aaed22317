import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { FunctionName } from '../bundle.ts';
import { allow, type Permission } from './allow.ts';
import { keyThrough } from './key-use.ts';
import { TABLE_RULES, type TableRule } from './table-rules.ts';

/** What the function may do with the table. TransactWriteItems has no action of its own: each operation in it needs its own. */
export const useTable = (name: FunctionName, table: ITable, key: IKey): Permission[] => [
  ...TABLE_RULES[name].map((rule) =>
    allow(
      rule.sid,
      rule.actions.map((action) => `dynamodb:${action}`),
      [table.tableArn],
      conditionsOf(rule),
    ),
  ),
  keyThrough('dynamodb', key, ['kms:Decrypt']),
];

/** `LeadingKeys` are the partitions of all items that a call names, also of each in a batch or a transaction. */
const conditionsOf = ({ only, not }: TableRule) => {
  const operator = only ? 'ForAllValues:StringLike' : 'ForAllValues:StringNotLike';
  const partitions = only ?? not;
  return partitions && { conditions: { [operator]: { 'dynamodb:LeadingKeys': partitions } } };
};
