import type { FunctionName } from '../bundle.ts';

/** An operation on one item or one partition, by IAM's name for it. */
export type TableAction =
  | 'GetItem'
  | 'BatchGetItem'
  | 'Query'
  | 'PutItem'
  | 'DeleteItem'
  | 'ConditionCheckItem';

/** Actions on all partitions, on `only` some, or on all but those that `not` names; a `*` stands for the rest of a name. */
export interface TableRule {
  readonly sid: string;
  readonly actions: readonly TableAction[];
  readonly only?: readonly string[];
  readonly not?: readonly string[];
}

/** The reading half of the `Table` port, and the writing one. */
const READS = ['GetItem', 'BatchGetItem', 'Query'] as const;
const WRITES = ['PutItem', 'DeleteItem', 'ConditionCheckItem'] as const;

const READ: TableRule = { sid: 'ReadTable', actions: READS };

/** Who may do what, and who is told of it: the API alone changes that, with the audit chains of it. */
const WRITE: TableRule = {
  sid: 'WriteTable',
  actions: WRITES,
  not: [
    'tokens',
    'token/*',
    'webhooks/*',
    'webhook/*',
    'webhook-deliveries/*',
    'followed/*',
    'idempotency/*',
  ],
};

/** What each function may do with the table. */
export const TABLE_RULES: Readonly<Record<FunctionName, readonly TableRule[]>> = {
  api: [READ, { sid: 'WriteTable', actions: WRITES }],
  authorizer: [{ sid: 'ReadTable', actions: ['GetItem'], only: ['tokens'] }],
  'deliver-webhook': [
    { ...READ, only: ['webhook-outbox', 'webhooks/*', 'webhook-deliveries/*', 'model/*', 'endpoint/*'] },
    {
      sid: 'WriteTable',
      actions: ['PutItem', 'DeleteItem'],
      only: ['webhook-outbox', 'webhook-deliveries/*'],
    },
    { sid: 'CheckWebhook', actions: ['ConditionCheckItem'], only: ['webhooks/*'] },
  ],
  'on-alarm': [READ, WRITE],
  reconcile: [READ, WRITE],
  'register-upload': [READ, WRITE],
  'revision-files': [
    { sid: 'ReadTable', actions: ['GetItem', 'BatchGetItem'], only: ['endpoint/*', 'files/*'] },
  ],
  'verify-upload': [READ, WRITE],
};
