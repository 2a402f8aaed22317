import { afterEach, beforeEach, expect, test } from 'vitest';
import { deliverWebhooks } from '../../../functions/aws/deliver-webhook.ts';
import { commit } from '../../../shared/audit/commit.ts';
import type { WebhookAnswer } from '../../../shared/ports/webhook-sender.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { deliveriesOf } from '../../../shared/webhooks/deliveries.ts';
import { outbox } from '../../../shared/webhooks/outbox.ts';
import { createWebhook } from '../../../shared/webhooks/webhook.ts';
import { someone } from '../../support/local-ports.ts';
import { asRole, type FunctionPorts, invocation, openFunctionPorts, queueEvent } from './aws-fixture.ts';

const ada = someone('ada', 'admin');
const WEBHOOK = {
  name: 'tell',
  description: '',
  url: 'https://example.com/',
  events: [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }],
  status: 'ACTIVE',
  secret: 'a-well-kept-secret',
} as const;

let ports: FunctionPorts;
let answers: WebhookAnswer[];
let posts: Readonly<Record<string, string>>[];

beforeEach(async () => {
  ports = await openFunctionPorts();
  answers = [];
  posts = [];
  await createWebhook(ports, ada, 'default', WEBHOOK);
});
afterEach(() => ports.close());

const sender = {
  check: () => undefined,
  post: async (_: string, headers: Readonly<Record<string, string>>) => {
    posts.push(headers);
    return answers.shift() ?? { status: 200, body: '' };
  },
};

const createTold = (name = 'told') =>
  createModel(ports, ada, { workspace: 'default', name, description: '', tags: {} });
const waiting = () => Array.fromAsync(outbox(ports.table));
const run = (...bodies: unknown[]) =>
  deliverWebhooks({ ...asRole('deliver-webhook', ports), sender })(queueEvent(...bodies), invocation());

/** Hands over what was sent to the queue until nothing is left; how long each message was to wait. */
async function runQueue(): Promise<number[]> {
  const delays: number[] = [];
  for (let next = ports.sent.shift(); next; next = ports.sent.shift()) {
    delays.push(next.delayMs);
    ports.clock.advance(next.delayMs);
    expect(await run(next.work)).toEqual({ batchItemFailures: [] });
  }
  return delays;
}

test('a change sends its entry of the outbox, and each webhook is told once', async () => {
  await createTold();
  const [event] = await waiting();
  expect(ports.sent.map(({ work }) => work)).toEqual([{ outbox: event?.id }]);
  expect(ports.events.at(-1)).not.toHaveProperty('inOutbox');
  await runQueue();
  expect(posts).toMatchObject([{ 'x-mlflow-signature': expect.stringMatching(/^v1,/) }]);
  expect(await waiting()).toEqual([]);
  // SQS delivers at least once.
  await run({ outbox: event?.id });
  await runQueue();
  expect(posts).toHaveLength(1);
});

test('a webhook that refuses is told again later, under the same id, and given up after a day', async () => {
  await createTold();
  answers = Array.from({ length: 200 }, () => ({ status: 503, body: '' }));
  const delays = await runQueue();
  expect(delays.slice(0, 5)).toEqual([0, 0, 1000, 2000, 4000]);
  // SQS holds a message for 15 minutes at most.
  expect(Math.max(...delays)).toBe(900_000);
  expect(new Set(posts.map((headers) => headers['x-mlflow-delivery-id'])).size).toBe(1);
  expect(ports.lines.at(-1)).toMatchObject({ outcome: 'given up', why: 'it answered 503' });
  expect(await waiting()).toEqual([]);
});

test('a second message of an attempt that is not due yet does nothing', async () => {
  await createTold();
  answers = [{ status: 429, body: '', retryAfter: 30 }];
  const event = ports.sent.shift();
  await run(event?.work);
  const delivery = ports.sent.shift();
  await run(delivery?.work);
  await run(delivery?.work);
  expect(posts).toHaveLength(1);
  expect(ports.sent).toMatchObject([{ delayMs: 30_000 }]);
});

test('what has lost its message is found by the timer', async () => {
  const lost = { send: () => Promise.reject(new Error('SQS does not answer')) };
  const { tellingBus } = await import('../../../functions/aws/telling-bus.ts');
  const bus = tellingBus(ports.bus, lost, ports.logger);
  await createModel({ ...ports, bus }, ada, { workspace: 'default', name: 'x', description: '', tags: {} });
  expect(ports.lines.at(-1)).toMatchObject({ message: 'cannot send an event to webhooks' });
  await run({ task: 'lost' });
  expect(ports.sent).toEqual([]);
  ports.clock.advance(6 * 60_000);
  await run({ task: 'lost' });
  await runQueue();
  expect(posts).toHaveLength(1);
});

test('a message whose work failed comes again alone', async () => {
  await createTold();
  const [event] = await waiting();
  const webhookQueue = { send: () => Promise.reject(new Error('SQS does not answer')) };
  const deliver = deliverWebhooks({ ...ports, webhookQueue, sender });
  const failed = await deliver(queueEvent({ outbox: 'gone' }, { outbox: event?.id }), invocation());
  expect(failed).toEqual({ batchItemFailures: [{ itemIdentifier: 'message-2' }] });
  expect(await run({ outbox: event?.id })).toEqual({ batchItemFailures: [] });
  await runQueue();
  expect(posts).toHaveLength(1);
});

test('what another function does to an endpoint is told in Cairn’s format, and how it went is kept', async () => {
  const told = { ...WEBHOOK, name: 'pager', events: [], actions: ['endpoint.rolled-back'] } as const;
  const { id } = await createWebhook(ports, ada, 'default', told);
  const change = { chain: 'endpoint/default/live', workspace: 'default', subject: 'live' };
  await commit(asRole('on-alarm', ports), ada, { ...change, action: 'endpoint.rolled-back' }, []);
  await commit(asRole('reconcile', ports), ada, { ...change, action: 'endpoint.rolled-out' }, []);
  expect(ports.sent).toHaveLength(1);
  await runQueue();
  expect(posts).toMatchObject([{ 'webhook-signature': expect.stringMatching(/^v1,/) }]);
  expect(await deliveriesOf(ports.table, 'default', id)).toMatchObject([
    { event: 'endpoint.rolled-back', state: 'DELIVERED', attempts: 1 },
  ]);
});

test('its role may change nothing but the outbox and how deliveries went, and reads no tokens', async () => {
  const { table } = asRole('deliver-webhook', ports);
  const put = { pk: 'tokens', sk: 'mine', body: {} };
  await expect(table.transact([{ put, if: 'absent' }])).rejects.toThrow('may not PutItem in "tokens"');
  await expect(table.get(put)).rejects.toThrow('may not GetItem in "tokens"');
});
