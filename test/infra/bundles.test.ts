import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle, FUNCTIONS, NODE_OPTIONS } from '../../infra/bundle.ts';
import { ENV, SERVING_ENV } from '../functions/aws/environment.ts';

/** zod whole, as something that imports `{ z }` of it has it, is 100 KB. */
const limitOf = (name: string) => (name === 'api' ? 1.28e6 : 0.9e6);

/** Of that, what is compiled before the first request. */
const START_LIMIT = 660_000;

let outdir: string;
let outputs: Map<string, Awaited<ReturnType<typeof bundle>>['metafile']['outputs']>;
beforeAll(async () => {
  outdir = mkdtempSync(join(tmpdir(), 'cairn-bundles-'));
  outputs = new Map(
    await Promise.all(
      FUNCTIONS.map(async (name) => {
        const { metafile } = await bundle(name, join(outdir, name));
        return [name, metafile.outputs] as const;
      }),
    ),
  );
});
afterAll(() => rmSync(outdir, { recursive: true }));

const modules = (folder: string) => readdirSync(join(outdir, folder)).filter((file) => file.endsWith('.mjs'));

test.each(FUNCTIONS)(
  '%s: its code is at most 0.9 MB, 1.28 the API’s, with a source map for each file',
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

/** The files that the function's entry imports, and those import, before anything is called. */
function atStart(folder: string) {
  const files = outputs.get(folder) ?? {};
  const found = new Set(Object.keys(files).filter((path) => path.endsWith('/index.mjs')));
  for (const path of found)
    for (const { path: imported, kind } of files[path]?.imports ?? [])
      if (kind === 'import-statement' && imported in files) found.add(imported);
  const outs = [...found].flatMap((path) => files[path] ?? []);
  return {
    bytes: outs.reduce((sum, { bytes }) => sum + bytes, 0),
    sources: outs.flatMap(({ inputs }) =>
      Object.entries(inputs).flatMap(([path, { bytesInOutput }]) => (bytesInOutput > 0 ? [path] : [])),
    ),
  };
}

test.each(FUNCTIONS)('%s: begins with at most 660 KB, in English and without a log’s threads', (folder) => {
  const { bytes, sources } = atStart(folder);
  expect(bytes).toBeLessThanOrEqual(START_LIMIT);
  expect(sources.filter((path) => /zod\/v4\/locales\/(?!en\.js)/.test(path))).toEqual([]);
  expect(sources.filter((path) => path.includes('/thread-stream/'))).toEqual([]);
});

test('the API begins without what few requests need', () => {
  const { sources } = atStart('api');
  expect(sources.some((path) => path.endsWith('functions/api/models/models.handlers.ts'))).toBe(true);
  const rare =
    /zod-to-openapi|api\/openapi\.ts|api\/mlflow\/door|git\.handlers|lfs\.handlers|tracking\/purge|hash-wasm/;
  expect(sources.filter((path) => rare.test(path))).toEqual([]);
});

test.each(FUNCTIONS)('%s: begins without fetch, and without decoding its source map', (folder) => {
  const entry = JSON.stringify(join(outdir, folder, 'index.mjs'));
  const script = `await import(${entry}); console.log(process.moduleLoadList.join('\\n'));`;
  const args = [NODE_OPTIONS, '--input-type=module', '--eval', script];
  const { stdout } = spawnSync(process.execPath, args, { env: SERVING_ENV, encoding: 'utf8' });
  expect(stdout).toContain('NativeModule https');
  expect(stdout).not.toContain('undici');
  const asking = modules(folder).filter((file) =>
    readFileSync(join(outdir, folder, file), 'utf8').includes('getCallSites'),
  );
  expect(asking).toEqual([]);
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
