import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { FUNCTIONS } from '../../../infra/bundle.ts';
import { ENV, SERVING_ENV } from './environment.ts';

/** Runs a script beside a function's entry in a process of its own, as Lambda does, where no AWS service answers. */
function run(folder: string, script: string, env: Record<string, string> = SERVING_ENV) {
  const entry = join(import.meta.dirname, '../../../functions', folder, 'lambda.ts');
  const source = `const { handler } = await import(${JSON.stringify(entry)});\n${script}`;
  return spawnSync(process.execPath, ['--input-type=module', '--eval', source], {
    encoding: 'utf8',
    env: { ...env, AWS_ENDPOINT_URL: 'http://127.0.0.1:1', PATH: process.env.PATH },
  });
}

test.each(FUNCTIONS)('%s begins with what the stacks tell it, and without calling anything', (folder) => {
  const { stdout, stderr } = run(folder, 'console.log(typeof handler)');
  expect([stdout, stderr]).toEqual(['function\n', '']);
});

test('an open route of the API needs no AWS service', () => {
  const event = {
    httpMethod: 'GET',
    path: '/healthz',
    headers: { Host: 'x' },
    requestContext: { domainName: 'x' },
  };
  const { stdout } = run('api', `console.log((await handler(${JSON.stringify(event)}, {})).body)`, ENV);
  const lines = stdout.trim().split('\n');
  expect(lines.at(-1)).toBe('{"status":"ok"}');
  expect(JSON.parse(lines.at(-2) ?? '')).toMatchObject({ Function: 'api', Requests: 1, Errors: 0 });
});

test('the API streams where Lambda can', () => {
  const { stdout } = run('api', '', { ...ENV, NODE_OPTIONS: `--import ${LAMBDA}` });
  expect(stdout).toBe('streams\n');
});

/** A module that makes what Lambda's runtime has. */
const LAMBDA = `data:text/javascript,${encodeURIComponent(
  "globalThis.awslambda = { streamifyResponse: (handler) => (console.log('streams'), handler) };",
)}`;

test('a function whose environment is wrong says what is missing', () => {
  const { CAIRN_TABLE: _, ...env } = ENV;
  const { status, stderr } = run('api', '', env);
  expect([status, stderr]).toEqual([1, expect.stringContaining('CAIRN_TABLE: ')]);
});
