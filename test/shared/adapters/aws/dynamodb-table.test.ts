import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { describe, expect, it } from 'vitest';
import { openDynamoTable } from '../../../../shared/adapters/aws/dynamodb-table.ts';
import { ConditionFailed, type Op } from '../../../../shared/ports/table.ts';
import { type Answer, answeringHandler, type Sent } from './answering-handler.ts';

/** A table whose network answers what the test says, and the pauses it made. */
function tableThat(answer: (sent: Sent, count: number) => Answer) {
  const { sent, handler } = answeringHandler(answer);
  const pauses: number[] = [];
  const client = new DynamoDBClient({
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestHandler: handler as never,
  });
  const pause = async (ms: number) => void pauses.push(ms);
  return { table: openDynamoTable({ client, tableName: 'cairn', pause }), sent, pauses };
}

const operation = ({ headers }: Sent) => headers['x-amz-target']?.split('.')[1];
const failure = (type: string, more: object = {}): Answer => ({
  status: 400,
  body: { __type: `com.amazonaws.dynamodb.v20120810#${type}`, message: type, ...more },
});
const cancelled = (...codes: string[]): Answer =>
  failure('TransactionCanceledException', { CancellationReasons: codes.map((Code) => ({ Code })) });
const broken = Object.assign(new Error('socket hang up'), { name: 'TimeoutError', code: 'ECONNRESET' });
const put = (sk: string, condition: 'absent' | { rev: number } = 'absent'): Op => ({
  put: { pk: 'p', sk, body: { n: 1 } },
  if: condition,
});

describe('the DynamoDB table', () => {
  it('makes one change a conditional write, and several a transaction', async () => {
    const { table, sent } = tableThat(() => ({}));
    await table.transact([put('a')]);
    await table.transact([put('a', { rev: 4 })]);
    await table.transact([{ delete: { pk: 'p', sk: 'a' }, if: 'any' }]);
    await table.transact([{ delete: { pk: 'p', sk: 'a' }, if: { rev: 5 } }]);
    await table.transact([put('a'), put('b')]);
    await table.transact([]);
    expect(sent.map(operation)).toEqual([
      'PutItem',
      'PutItem',
      'DeleteItem',
      'TransactWriteItems',
      'TransactWriteItems',
    ]);
    expect(sent[0]?.body).toEqual({
      TableName: 'cairn',
      Item: {
        pk: { S: 'p' },
        sk: { S: 'a' },
        rev: { N: '1' },
        body: { S: '{"n":1}' },
        v: { N: '1' },
        w: { S: expect.any(String) },
      },
      ConditionExpression: 'attribute_not_exists(pk)',
      ReturnValuesOnConditionCheckFailure: 'ALL_OLD',
    });
    expect(sent[1]?.body).toMatchObject({
      Item: { rev: { N: '5' } },
      ConditionExpression: 'rev = :rev',
      ExpressionAttributeValues: { ':rev': { N: '4' } },
    });
  });

  it('sends a transaction that collided again under its token, after a pause', async () => {
    const { table, sent, pauses } = tableThat((_, count) =>
      count < 4 ? cancelled('None', 'TransactionConflict') : {},
    );
    await table.transact([put('a'), put('b')]);
    expect(sent).toHaveLength(4);
    expect(new Set(sent.map(({ body }) => body.ClientRequestToken)).size).toBe(1);
    expect(new Set(sent.map(({ body }) => JSON.stringify(body.TransactItems))).size).toBe(1);
    expect(pauses).toHaveLength(3);
    for (const [index, ms] of pauses.entries()) expect(ms).toBeLessThanOrEqual(20 * 2 ** index);
  });

  it('gives up a transaction that always collides with CONFLICT', async () => {
    const { table, sent } = tableThat(() => cancelled('TransactionConflict', 'None'));
    await expect(table.transact([put('a'), put('b')])).rejects.toMatchObject({ code: 'CONFLICT' });
    expect(sent.length).toBeLessThanOrEqual(12);
  });

  it('sends a transaction whose answer was lost again under its token, so that it happens once', async () => {
    const { table, sent } = tableThat((_, count) => (count === 1 ? broken : {}));
    await table.transact([put('a'), put('b')]);
    expect(sent).toHaveLength(2);
    expect(sent[1]?.body).toEqual(sent[0]?.body);
  });

  it('does not report a write as failed that happened and whose answer was lost', async () => {
    const { table, sent } = tableThat(({ body }, count) =>
      count === 1 ? broken : failure('ConditionalCheckFailedException', { Item: body.Item }),
    );
    await table.transact([put('a')]);
    expect(sent).toHaveLength(2);
  });

  it('reports a write as failed when the item is somebody else’s, though it looks the same', async () => {
    const { table } = tableThat(({ body }, count) =>
      count === 1
        ? broken
        : failure('ConditionalCheckFailedException', { Item: { ...body.Item, w: { S: 'others' } } }),
    );
    await expect(table.transact([put('a')])).rejects.toEqual(new ConditionFailed([0]));
  });

  it('names the conditions that failed, also beside a collision', async () => {
    const { table, sent } = tableThat(() =>
      cancelled('ConditionalCheckFailed', 'TransactionConflict', 'ConditionalCheckFailed'),
    );
    await expect(table.transact([put('a'), put('b'), put('c')])).rejects.toEqual(new ConditionFailed([0, 2]));
    expect(sent).toHaveLength(1);
  });

  it('asks again for what a batch left over, and answers in the order of the keys', async () => {
    const key = (sk: string) => ({ pk: { S: 'p' }, sk: { S: sk } });
    const item = (sk: string) => ({ ...key(sk), rev: { N: '1' }, body: { S: `"${sk}"` } });
    const rest = (...sks: string[]) => ({ cairn: { Keys: sks.map(key) } });
    const answers = [
      { body: { Responses: { cairn: [item('b')] }, UnprocessedKeys: rest('a', 'c') } },
      { body: { Responses: { cairn: [] }, UnprocessedKeys: rest('a', 'c') } },
      { body: { Responses: { cairn: [item('c'), item('a')] } } },
    ];
    const { table, sent, pauses } = tableThat((_, count) => answers[count - 1] ?? {});
    const items = await table.getMany(['a', 'b', 'a', 'c'].map((sk) => ({ pk: 'p', sk })));
    expect(items.map((found) => found?.body)).toEqual(['a', 'b', 'a', 'c']);
    expect(sent.map(({ body }) => body.RequestItems.cairn.Keys.length)).toEqual([3, 2, 2]);
    expect(sent.every(({ body }) => body.RequestItems.cairn.ConsistentRead)).toBe(true);
    expect(pauses).toHaveLength(1);
  });

  it('refuses an item of a newer Cairn, saying so', async () => {
    const Item = { pk: { S: 'p' }, sk: { S: 'a' }, rev: { N: '1' }, body: { S: '1' }, v: { N: '2' } };
    const { table } = tableThat(() => ({ body: { Item } }));
    await expect(table.get({ pk: 'p', sk: 'a' })).rejects.toThrow(/has format 2.*knows 1: run a newer Cairn/);
  });

  it('asks nothing where nothing can be', async () => {
    const { table, sent } = tableThat(() => ({ body: { Items: [] } }));
    expect(await table.query({ pk: 'p', prefix: 'b', after: 'c', limit: 5 })).toEqual({
      items: [],
      more: false,
    });
    expect(await table.getMany([])).toEqual([]);
    expect(sent).toEqual([]);
    const long = table.query({ pk: 'p', after: 'x'.repeat(2000), limit: 5 });
    await expect(long).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', field: 'cursor' });
  });
});
