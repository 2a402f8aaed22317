import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startWebhooks } from '../../../functions/local/webhooks.ts';
import { systemCaller } from '../../../shared/access/caller.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { createWebhook } from '../../../shared/webhooks/webhook.ts';
import { type LocalPorts, openLocalPorts } from '../../support/local-ports.ts';

const ADMIN = systemCaller('test', 'test');
const silent = pino({ level: 'silent' });

let ports: LocalPorts;
beforeEach(async () => {
  ports = await openLocalPorts();
});
afterEach(() => ports.close());

const webhook = (name: string) =>
  createWebhook(ports, ADMIN, 'default', {
    name,
    description: '',
    url: `https://${name}.example.com/`,
    events: [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }],
    status: 'ACTIVE',
  });

async function createModels(count: number): Promise<void> {
  for (let index = 0; index < count; index++) {
    const model = { workspace: 'default', name: `told-${index}`, description: '', tags: {} };
    await createModel(ports, ADMIN, model);
  }
}

test('a receiver that does not answer keeps no other one waiting', async () => {
  await webhook('hung');
  await webhook('well');
  await createModels(30);
  const answered = Promise.withResolvers<void>();
  const told: string[] = [];
  const sender = {
    check: () => undefined,
    post: async (url: string) => {
      if (url.includes('hung')) await answered.promise;
      told.push(url);
      return { status: 200, body: '' };
    },
  };
  const webhooks = await startWebhooks(ports, { subscribe: () => () => undefined }, sender, silent);
  await vi.waitFor(() => expect(told).toHaveLength(30), 5000);
  expect(told.some((url) => url.includes('hung'))).toBe(false);
  answered.resolve();
  await vi.waitFor(() => expect(told).toHaveLength(60), 5000);
  await webhooks.close();
});

test('what could not be written down is told later, without a restart', async () => {
  await webhook('well');
  await createModels(1);
  vi.useFakeTimers({ toFake: ['setTimeout'] });
  try {
    const { transact } = ports.table;
    let refusals = 0;
    const table = {
      ...ports.table,
      transact: (...parameters: Parameters<typeof transact>) =>
        refusals++ === 0 ? Promise.reject(new Error('the disk is full')) : transact(...parameters),
    };
    const post = vi.fn(async () => ({ status: 200, body: '' }));
    const sender = { check: () => undefined, post };
    const bus = { subscribe: () => () => undefined };
    const webhooks = await startWebhooks({ ...ports, table }, bus, sender, silent);
    while (vi.getTimerCount() === 0) await new Promise((resolve) => setImmediate(resolve));
    expect(post).not.toHaveBeenCalled();
    vi.runAllTimers();
    while (post.mock.calls.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await webhooks.close();
  } finally {
    vi.useRealTimers();
  }
});
