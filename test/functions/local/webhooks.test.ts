import pino from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startWebhooks } from '../../../functions/local/webhooks.ts';
import { systemCaller } from '../../../shared/access/caller.ts';
import { openInProcessBus } from '../../../shared/adapters/local/in-process-bus.ts';
import { followedKey, outboxKey } from '../../../shared/audit/followed.ts';
import type { WebhookSender } from '../../../shared/ports/webhook-sender.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { outbox } from '../../../shared/webhooks/outbox.ts';
import { createWebhook } from '../../../shared/webhooks/webhook.ts';
import { type LocalPorts, openLocalPorts } from '../../support/local-ports.ts';

const ADMIN = systemCaller('test', 'test');
const EVENT = { entity: 'REGISTERED_MODEL' as const, action: 'CREATED' as const };

let ports: LocalPorts;
beforeEach(async () => {
  ports = await openLocalPorts();
});
afterEach(async () => {
  vi.useRealTimers();
  await ports.close();
});

/** What is posted, and a sender that takes it. */
function taking() {
  const posted: string[] = [];
  const sender: WebhookSender = {
    check: () => undefined,
    post: async (_url, _headers, body) => {
      posted.push(body);
      return { status: 200, body: '' };
    },
  };
  return { posted, sender };
}

const WEBHOOK = {
  name: 'w',
  description: '',
  url: 'https://example.com/',
  status: 'ACTIVE' as const,
  events: [EVENT],
};

test('webhooks and deliveries of the first layout are told as well', async () => {
  const bus = openInProcessBus(() => undefined);
  const { posted, sender } = taking();
  const { id } = await createWebhook(ports, ADMIN, 'default', WEBHOOK);
  const at = ports.clock.now();
  const notice = { event: EVENT, data: { name: 'left' } };
  const body = { format: 1, id: 'left', workspace: 'default', webhook: id, notice, at };
  await ports.table.transact([
    { delete: followedKey('default'), if: 'any' },
    { put: { ...outboxKey('left'), body }, if: 'absent' },
  ]);
  const webhooks = await startWebhooks(ports, bus, sender, pino({ level: 'silent' }));
  await vi.waitFor(() => expect(posted).toEqual([expect.stringContaining('"left"')]));
  await createModel({ ...ports, bus }, ADMIN, {
    workspace: 'default',
    name: 'made',
    description: '',
    tags: {},
  });
  await vi.waitFor(() => expect(posted).toContainEqual(expect.stringContaining('"made"')));
  await webhooks.close();
});

test('what the table could not do at first is told a little later', async () => {
  const bus = openInProcessBus(() => undefined);
  const { posted, sender } = taking();
  let full = false;
  let refused = 0;
  const table = {
    ...ports.table,
    transact: async (ops: Parameters<typeof ports.table.transact>[0]) => {
      if (!full) return ports.table.transact(ops);
      refused++;
      throw new Error('the disk is full');
    },
  };
  await createWebhook(ports, ADMIN, 'default', WEBHOOK);
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const webhooks = await startWebhooks({ ...ports, table }, bus, sender, pino({ level: 'silent' }));
  const deaf = { ...ports, bus };
  const made = createModel(deaf, ADMIN, { workspace: 'default', name: 'm', description: '', tags: {} });
  full = true;
  await made;
  await vi.waitFor(() => expect(refused).toBe(1));
  full = false;
  expect(posted).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(5000);
  await vi.waitFor(() => expect(posted).toHaveLength(1));
  await webhooks.close();
  expect(await Array.fromAsync(outbox(ports.table))).toEqual([]);
});
