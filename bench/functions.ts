import { spawnSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { bundle, FUNCTIONS, NODE_OPTIONS } from '../infra/bundle.ts';
import { ENV } from '../test/functions/aws/environment.ts';
import type { Bench } from './context.ts';
import { type Measurement, repeat, seconds, shortest } from './measurement.ts';

const ROUNDS = 15;
const LIMIT_BYTES = 1.5e6;
const LIMIT_MS = 150;

/** Calls the handler of the module that it is told, as API Gateway would for a route that needs no token. */
const CALL = `const { handler } = await import(process.argv[2]);
const requestContext = { domainName: 'x' };
const event = { httpMethod: 'GET', path: '/healthz', headers: { Host: 'x' }, requestContext };
if ((await handler(event, {})).statusCode !== 200) process.exit(1);
`;

/**
 * Size of the functions' bundles; from the start of a process until the API's handler is there, and until it has answered
 * once, beside an empty one. Node gets the options that it has on Lambda.
 */
export async function functions({ dir }: Bench): Promise<Measurement[]> {
  await Promise.all(FUNCTIONS.map((name) => bundle(name, join(dir, name))));
  const sizes = FUNCTIONS.map((name) => ({ name, bytes: sizeOf(join(dir, name)) }));
  const largest = sizes.reduce((a, b) => (a.bytes > b.bytes ? a : b));
  const [empty, call, api] = [join(dir, 'empty.mjs'), join(dir, 'call.mjs'), join(dir, 'api/index.mjs')];
  writeFileSync(empty, 'export const handler = async () => ({ statusCode: 200 });\n');
  writeFileSync(call, CALL);
  const run = async (...args: string[]) => {
    const took = await seconds(() => {
      const { status, stderr } = spawnSync(process.execPath, args, {
        env: { ...ENV, NODE_OPTIONS },
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`${args.join(' ')} ends with ${status}: ${stderr}`);
    });
    return took * 1000;
  };
  const runs = await repeat(ROUNDS, async () => ({
    empty: await run(empty),
    api: await run(api),
    emptyAnswer: await run(call, empty),
    apiAnswer: await run(call, api),
  }));
  const least = (what: keyof (typeof runs)[number]) => shortest(runs.map((one) => one[what]));
  const base = least('empty');
  const above = least('api') - base;
  const answered = least('apiAnswer') - least('emptyAnswer');
  return [
    {
      what: 'largest function, minified',
      client: 'esbuild',
      value: largest.bytes,
      figure: `${(largest.bytes / 1e6).toFixed(2)} MB (${largest.name}; all: ${sizes.map(({ bytes }) => (bytes / 1e6).toFixed(2)).join(', ')})`,
      bar: '<= 1.5 MB',
      reached: largest.bytes <= LIMIT_BYTES,
    },
    {
      what: 'api: ready after an empty handler',
      client: 'node',
      value: above,
      figure: `${above.toFixed(0)} ms more (empty handler ${base.toFixed(0)} ms)`,
      bar: '<= 150 ms',
      reached: above <= LIMIT_MS,
    },
    {
      what: 'api: first answer after an empty handler’s',
      client: 'node',
      value: answered,
      figure: `${answered.toFixed(0)} ms more`,
    },
  ];
}

const sizeOf = (folder: string) =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.mjs'))
    .reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
