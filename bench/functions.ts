import { spawnSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { bundle, FUNCTIONS } from '../infra/bundle.ts';
import { ENV } from '../test/functions/aws/environment.ts';
import type { Bench } from './context.ts';
import { type Measurement, repeat, seconds, shortest } from './measurement.ts';

const ROUNDS = 15;
const LIMIT_BYTES = 1.5e6;
const LIMIT_MS = 150;

/** Size of the functions' bundles, and from the start of a process until the API's handler is there, beside an empty one. */
export async function functions({ dir }: Bench): Promise<Measurement[]> {
  await Promise.all(FUNCTIONS.map((name) => bundle(name, join(dir, name))));
  const sizes = FUNCTIONS.map((name) => ({ name, bytes: sizeOf(join(dir, name)) }));
  const largest = sizes.reduce((a, b) => (a.bytes > b.bytes ? a : b));
  const empty = join(dir, 'empty.mjs');
  writeFileSync(empty, 'export const handler = async () => ({});\n');
  const begin = (module: string) =>
    seconds(() => {
      const { status, stderr } = spawnSync(process.execPath, [module], {
        env: ENV,
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`${module} does not begin: ${stderr}`);
    });
  const runs = await repeat(ROUNDS, async () => ({
    empty: (await begin(empty)) * 1000,
    api: (await begin(join(dir, 'api/index.mjs'))) * 1000,
  }));
  const base = shortest(runs.map((run) => run.empty));
  const above = shortest(runs.map((run) => run.api)) - base;
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
  ];
}

const sizeOf = (folder: string) =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.mjs'))
    .reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
