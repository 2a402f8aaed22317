import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle, FUNCTIONS } from '../../infra/bundle.ts';
import { ENV } from '../functions/aws/environment.ts';

/** zod whole, as something that imports `{ z }` of it has it, is 100 KB. */
const limitOf = (name: string) => (name === 'api' ? 1.5e6 : 1e6);

let outdir: string;
beforeAll(async () => {
  outdir = mkdtempSync(join(tmpdir(), 'cairn-bundles-'));
  await Promise.all(FUNCTIONS.map((name) => bundle(name, join(outdir, name))));
});
afterAll(() => rmSync(outdir, { recursive: true }));

const modules = (folder: string) => readdirSync(join(outdir, folder)).filter((file) => file.endsWith('.mjs'));

test.each(FUNCTIONS)(
  '%s: its code is at most 1 MB, 1.5 the API’s, with a source map for each file',
  (folder) => {
    const files = modules(folder);
    expect(files).toContain('index.mjs');
    const bytes = files
      .map((file) => statSync(join(outdir, folder, file)).size)
      .reduce((sum, size) => sum + size);
    expect(bytes).toBeLessThanOrEqual(limitOf(folder));
    for (const file of files) {
      const map = JSON.parse(readFileSync(join(outdir, folder, `${file}.map`), 'utf8'));
      expect(map).not.toHaveProperty('sourcesContent');
    }
  },
);

test.each(FUNCTIONS)('%s: needs nothing that is not in its bundle, and no native code', (folder) => {
  for (const file of modules(folder)) {
    const code = readFileSync(join(outdir, folder, file), 'utf8');
    expect(code).not.toMatch(/onnxruntime-node|bowser/);
    for (const [, from = ''] of code.matchAll(/(?:^|;)import(?:[^"';]*from)?["']([^"']+)["']/g)) {
      expect(from, file).toMatch(/^(node:|\.\/|[a-z_/]+$)/);
    }
  }
});

test('a function signs with the credentials of its environment', async () => {
  const server = createServer((request, response) => {
    server.emit('signed', request.headers);
    response.writeHead(400).end();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const event = { methodArn: 'arn:aws:execute-api:x', headers: { authorization: 'Bearer cairn_1_2' } };
  const called = `handler(${JSON.stringify({ ...event, pathParameters: { workspace: 'w', name: 'n' }, requestContext: {} })}, {})`;
  const script = `const { handler } = await import(${JSON.stringify(join(outdir, 'authorizer/index.mjs'))}); await ${called};`;
  const env = {
    ...ENV,
    AWS_ENDPOINT_URL: `http://127.0.0.1:${port}`,
    AWS_ACCESS_KEY_ID: 'AKIDROLE',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: 'session',
  };
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { env, stdio: 'ignore' });
  const [headers] = await once(server, 'signed');
  expect(headers).toMatchObject({
    authorization: expect.stringContaining('Credential=AKIDROLE/'),
    'x-amz-security-token': 'session',
  });
  await once(child, 'exit');
  server.close();
});

test('the same sources give the same bytes', async () => {
  const again = join(outdir, 'again');
  await bundle('authorizer', again);
  for (const file of modules('authorizer')) {
    expect(readFileSync(join(again, file), 'utf8')).toBe(
      readFileSync(join(outdir, 'authorizer', file), 'utf8'),
    );
  }
});
