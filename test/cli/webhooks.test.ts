import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openReceiver, type Receiver } from '../support/receiver.ts';
import { ADMIN_TOKEN, type InstalledCli, installCli, startServer, type TestServer } from './harness.ts';

let server: TestServer;
let cli: InstalledCli;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await openReceiver();
  server = await startServer({ webhooksInside: true });
  cli = await installCli(() => ({ CAIRN_URL: server.url, CAIRN_TOKEN: ADMIN_TOKEN }));
});

afterAll(async () => {
  await cli.remove();
  await server.close();
  await receiver.close();
});

test('a webhook is made, tested, told, paused, given another secret and deleted', async () => {
  const none = await cli.run(['webhooks', 'list']);
  expect([none.status, none.stdout]).toEqual([
    0,
    expect.stringContaining('No webhooks in workspace "default"'),
  ]);
  expect(await cli.json(['webhooks', 'list'])).toEqual({ items: [] });

  const made = await cli.run(['webhooks', 'create', 'pager', receiver.url, '--event', 'webhook.made']);
  expect([made.status, made.stderr]).toEqual([2, expect.stringContaining('events.0')]);
  const { status, stdout } = await cli.run([
    'webhooks',
    'create',
    'pager',
    receiver.url,
    '--event',
    'model.created',
  ]);
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^whsec_\S+\n$/)]);
  const secret = stdout.trim();

  expect(await cli.json(['webhooks', 'test', 'pager'])).toMatchObject({ delivered: true, status: 200 });
  receiver.refusals.push(500);
  const refused = await cli.run(['webhooks', 'test', 'pager']);
  expect([refused.status, refused.stdout]).toEqual([1, 'It answered 500.\n']);

  await fetch(`${server.url}/api/v1/workspaces/default/models`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'digits' }),
  });
  await vi.waitFor(async () => {
    const { deliveries } = await cli.json(['webhooks', 'show', 'pager']);
    expect(deliveries).toMatchObject([{ event: 'model.created', state: 'DELIVERED' }]);
  }, 20_000);
  const told = receiver.received.at(-1) as Receiver['received'][number];
  const event = new Webhook(secret).verify(told.body, told.headers as Record<string, string>);
  expect(event).toMatchObject({ type: 'model.created', data: { subject: 'digits' } });
  expect((await cli.run(['webhooks', 'show', 'pager'])).stdout).toMatch(/model\.created +DELIVERED +1/);

  expect((await cli.json(['webhooks', 'update', 'pager', '--pause'])).status).toBe('DISABLED');
  const other = (await cli.run(['webhooks', 'update', 'pager', '--resume', '--new-secret'])).stdout.trim();
  expect(other).toMatch(/^whsec_/);
  await cli.json(['webhooks', 'test', 'pager']);
  const signed = receiver.received.at(-1) as Receiver['received'][number];
  const headers = signed.headers as Record<string, string>;
  expect(() => new Webhook(secret).verify(signed.body, headers)).toThrow();
  expect(new Webhook(other).verify(signed.body, headers)).toMatchObject({ type: 'webhook.test' });

  expect((await cli.run(['webhooks', 'update', 'pager'])).stderr).toContain('There is nothing to change');
  expect((await cli.run(['webhooks', 'delete', 'pager', '--yes'])).stdout).toBe('Deleted 1 webhook.\n');
  const gone = await cli.run(['webhooks', 'show', 'pager']);
  expect([gone.status, gone.stderr]).toEqual([3, expect.stringContaining('There is no webhook "pager"')]);
});
