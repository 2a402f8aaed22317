import { randomBytes, randomUUID } from 'node:crypto';
import {
  type AttributeValue,
  BatchGetItemCommand,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
  TransactionCanceledException,
  type TransactWriteItem,
  TransactWriteItemsCommand,
} from '@aws-sdk/client-dynamodb';
import { CairnError } from '../../errors.ts';
import {
  ConditionFailed,
  type Item,
  type Key,
  type Page,
  type Query,
  type Table,
} from '../../ports/table.ts';
import {
  checkedWrites,
  isSortKey,
  requireKey,
  requireKeys,
  requireLimit,
  type WriteOp,
} from '../table-limits.ts';
import { type Pause, retried } from './retry.ts';

export interface DynamoTableOptions {
  readonly client: DynamoDBClient;
  /** A table with the keys `pk` and `sk`, both strings, and `expiresAt` as its TTL attribute. */
  readonly tableName: string;
  /** How a retry waits; for tests. */
  readonly pause?: Pause;
}

type Attributes = Record<string, AttributeValue>;

/** The layout of items, in each of them as `v`. */
const FORMAT = 1;

/**
 * A Table in one DynamoDB table. An item's attributes are `pk`, `sk`, `rev`, `body` (JSON text: exact, empty strings and
 * all), `bytes`, `expiresAt`, and of the write that made it the format `v` and a random tag `w`. One change costs a
 * conditional write; several, or a delete that depends on a revision, a transaction.
 * @throws CairnError `CONFLICT` when the same items are written by others for so long that it gives up
 */
export function openDynamoTable({ client, tableName, pause }: DynamoTableOptions): Table {
  const TableName = tableName;

  const put = async (op: WriteOp): Promise<void> => {
    const Item = toAttributes(op);
    const input = {
      TableName,
      Item,
      ...conditionOf(op),
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD' as const,
    };
    try {
      await retried(() => client.send(new PutItemCommand(input)), isTransient, pause);
    } catch (error) {
      if (!(error instanceof ConditionalCheckFailedException)) throw error;
      // The request may have been sent again because an answer was lost: then the item is ours already.
      if (error.Item?.w?.S !== Item.w?.S) throw new ConditionFailed([0]);
    }
  };

  const transact = async (writes: readonly WriteOp[]): Promise<void> => {
    const input = {
      TransactItems: writes.map((write) => toTransactItem(TableName, write)),
      // Under one token the transaction happens once, however often it is sent within 10 minutes.
      ClientRequestToken: randomUUID(),
    };
    try {
      await retried(() => client.send(new TransactWriteItemsCommand(input)), isTransient, pause);
    } catch (error) {
      const failed = failedConditions(error);
      if (failed.length > 0) throw new ConditionFailed(failed);
      throw error;
    }
  };

  const batch = async (keys: readonly Key[]): Promise<Item[]> => {
    let wanted: Attributes[] = keys.map(keyAttributes);
    const items: Item[] = [];
    while (wanted.length > 0) {
      // An answer holds 16 MB: what is left over comes with the next one. None at all is throttling.
      const { found, rest } = await retried(
        async () => {
          const answer = await client.send(
            new BatchGetItemCommand({
              RequestItems: { [TableName]: { Keys: wanted, ConsistentRead: true } },
            }),
          );
          const found = answer.Responses?.[TableName] ?? [];
          const rest = answer.UnprocessedKeys?.[TableName]?.Keys ?? [];
          if (rest.length === wanted.length) throw new Unprocessed();
          return { found, rest };
        },
        (error) => error instanceof Unprocessed || isTransient(error),
        pause,
      );
      items.push(...found.map(toItem));
      wanted = rest;
    }
    return items;
  };

  return {
    get: async (key) => {
      requireKey(key);
      const { Item } = await client.send(
        new GetItemCommand({ TableName, Key: keyAttributes(key), ConsistentRead: true }),
      );
      return Item && toItem(Item);
    },

    getMany: async (keys) => {
      requireKeys(keys);
      const unique = new Map(keys.map((key) => [keyText(key), key]));
      const found = new Map((await batch([...unique.values()])).map((item) => [keyText(item), item]));
      return keys.map((key) => found.get(keyText(key)));
    },

    query: async (query) => {
      const { limit, reverse = false } = query;
      requireLimit(limit);
      const conditions = keyConditions(query);
      if (conditions === undefined) return { items: [], more: false };
      const { Items = [], LastEvaluatedKey } = await client.send(
        new QueryCommand({
          TableName,
          ...conditions,
          ScanIndexForward: !reverse,
          ConsistentRead: true,
          // One more than wanted tells whether another page follows.
          Limit: limit + 1,
        }),
      );
      const more = Items.length > limit || LastEvaluatedKey !== undefined;
      return { items: Items.slice(0, limit).map(toItem), more } satisfies Page;
    },

    transact: async (ops) => {
      const writes = checkedWrites(ops);
      const [only, ...others] = writes;
      if (only === undefined) return;
      try {
        if (others.length > 0) await transact(writes);
        else if (only.kind === 'put') await put(only);
        else if (only.kind === 'delete' && only.if === 'any') {
          const input = { TableName, Key: keyAttributes(only) };
          await retried(() => client.send(new DeleteItemCommand(input)), isTransient, pause);
        } else await transact(writes);
      } catch (error) {
        throw isConflict(error) ? busy(error) : error;
      }
    },
  };
}

class Unprocessed extends Error {
  constructor() {
    super('DynamoDB returned none of the items that were asked for');
    this.name = 'Unprocessed';
  }
}

const keyAttributes = ({ pk, sk }: Key): Attributes => ({ pk: { S: pk }, sk: { S: sk } });
const keyText = ({ pk, sk }: Key) => JSON.stringify([pk, sk]);

function toAttributes(op: WriteOp): Attributes {
  const { body = 'null', bytes, expiresAt } = op;
  return {
    ...keyAttributes(op),
    rev: { N: String(typeof op.if === 'number' ? op.if + 1 : 1) },
    body: { S: body },
    ...(bytes === undefined ? {} : { bytes: { B: bytes } }),
    ...(expiresAt === undefined ? {} : { expiresAt: { N: String(expiresAt) } }),
    v: { N: String(FORMAT) },
    w: { S: randomBytes(9).toString('base64url') },
  };
}

/** @throws Error for an item that a newer Cairn wrote */
function toItem(attributes: Attributes): Item {
  const { pk, sk, rev, body, bytes, expiresAt, v } = attributes;
  if (Number(v?.N) > FORMAT) {
    throw new Error(
      `The item ${pk?.S} ${sk?.S} has format ${v?.N}, and this Cairn knows ${FORMAT}: run a newer Cairn.`,
    );
  }
  return {
    pk: pk?.S ?? '',
    sk: sk?.S ?? '',
    rev: Number(rev?.N),
    body: JSON.parse(body?.S ?? 'null'),
    ...(bytes?.B === undefined ? {} : { bytes: bytes.B }),
    ...(expiresAt?.N === undefined ? {} : { expiresAt: Number(expiresAt.N) }),
  };
}

function conditionOf(op: WriteOp) {
  switch (op.if) {
    case 'any':
      return {};
    case 'absent':
      return { ConditionExpression: 'attribute_not_exists(pk)' };
    case 'exists':
      return { ConditionExpression: 'attribute_exists(pk)' };
    default:
      return {
        ConditionExpression: 'rev = :rev',
        ExpressionAttributeValues: { ':rev': { N: String(op.if) } },
      };
  }
}

function toTransactItem(TableName: string, op: WriteOp): TransactWriteItem {
  const Key = keyAttributes(op);
  switch (op.kind) {
    case 'put':
      return { Put: { TableName, Item: toAttributes(op), ...conditionOf(op) } };
    case 'delete':
      return { Delete: { TableName, Key, ...conditionOf(op) } };
    case 'check':
      return { ConditionCheck: { TableName, Key, ConditionExpression: '', ...conditionOf(op) } };
  }
}

/**
 * The partition, and where in it the page begins. A start outside the prefix is not one that DynamoDB takes: it is
 * either before everything, which is no start, or behind everything, which is no page (undefined).
 */
function keyConditions({ pk, prefix = '', after, reverse = false }: Query) {
  const begin: Pick<QueryCommandInput, 'KeyConditionExpression' | 'ExpressionAttributeValues'> =
    prefix === ''
      ? { KeyConditionExpression: 'pk = :pk', ExpressionAttributeValues: { ':pk': { S: pk } } }
      : {
          KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
          ExpressionAttributeValues: { ':pk': { S: pk }, ':prefix': { S: prefix } },
        };
  if (after === undefined) return begin;
  if (after.startsWith(prefix) && after !== '') {
    if (!isSortKey(after)) throw new CairnError('INVALID_ARGUMENT', 'No page ended there.', 'cursor');
    return { ...begin, ExclusiveStartKey: keyAttributes({ pk, sk: after }) };
  }
  const isBefore = Buffer.compare(Buffer.from(after), Buffer.from(prefix)) < 0 || after === '';
  return isBefore !== reverse ? begin : undefined;
}

/** Codes of errors and of cancellation reasons: somebody else's transaction on the same item … */
const CONFLICT = new Set([
  'TransactionConflict',
  'TransactionConflictException',
  'TransactionInProgressException',
]);
/** … or too many requests. Both are over soon. */
const THROTTLED = new Set([
  'ThrottlingError',
  'ThrottlingException',
  'ProvisionedThroughputExceeded',
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
]);

const isTransient = (error: unknown) => isConflict(error) || has(error, THROTTLED);
const isConflict = (error: unknown) => has(error, CONFLICT);

function has(error: unknown, wanted: ReadonlySet<string>): boolean {
  if (error instanceof TransactionCanceledException) {
    return failedConditions(error).length === 0 && codes(error).some((code) => wanted.has(code));
  }
  return error instanceof Error && wanted.has(error.name);
}

/** The indexes of the operations whose condition did not hold. */
const failedConditions = (error: unknown): number[] =>
  codes(error).flatMap((code, index) => (code === 'ConditionalCheckFailed' ? [index] : []));

const codes = (error: unknown): string[] =>
  error instanceof TransactionCanceledException
    ? (error.CancellationReasons ?? []).map(({ Code = 'None' }) => Code)
    : [];

function busy(cause: unknown): CairnError {
  const error = new CairnError('CONFLICT', 'Others keep changing the same records.');
  error.cause = cause;
  return error;
}
