import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { isPublic, webhookSender } from '../../../shared/adapters/webhook-sender.ts';

test.each([
  '127.0.0.1',
  '10.1.2.3',
  '172.31.0.1',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '0.0.0.0',
  '255.255.255.255',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  'fd00::1',
  'fe80::1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  'not an address',
])('%s is inside', (address) => {
  expect(isPublic(address)).toBe(false);
});

test.each(['8.8.8.8', '172.32.0.1', '2606:4700::1111'])('%s is public', (address) => {
  expect(isPublic(address)).toBe(true);
});

test.each([
  'http://example.com/',
  'https://127.0.0.1/',
  'https://0x7f.1/',
  'https://2130706433/',
  'https://[::1]/',
  'https://[::ffff:10.0.0.1]/',
  'https://user:word@example.com/',
  'file:///etc/passwd',
  'example.com',
])('%s cannot be a webhook', (url) => {
  expect(() => webhookSender({ inside: false }).check(url)).toThrow(/url must/);
});

test('a name that leads inside is refused when it is connected to', async () => {
  const sender = webhookSender({ inside: false });
  sender.check('https://localhost:1/');
  await expect(sender.post('https://localhost:1/', {}, '{}')).rejects.toThrow('is not a public address');
});

test('a redirect is an answer, and is not followed', async () => {
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(307, { location: '/elsewhere', 'retry-after': '7' }).end('x'.repeat(100_000));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    const { port } = server.address() as AddressInfo;
    const answer = await webhookSender({ inside: true }).post(`http://localhost:${port}/a`, {}, '{}');
    expect(answer).toMatchObject({ status: 307, retryAfter: 7 });
    expect(answer.body.length).toBeLessThan(20_000);
    expect(asked).toEqual(['/a']);
  } finally {
    server.close();
    server.closeAllConnections();
  }
});
