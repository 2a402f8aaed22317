import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { alias } from './alias.ts';
import { create } from './create.ts';
import { functions } from './functions.ts';
import { git } from './git.ts';
import { inference } from './inference.ts';
import type { Measurement } from './measurement.ts';
import { mlflow } from './mlflow.ts';
import { rollback } from './rollback.ts';
import { start } from './start.ts';
import { transfer } from './transfer.ts';

/**
 * `npm run bench [name …] [-- --json]`: figures of this machine, each held against a peer or a physical limit measured in
 * the same run. Exits non-zero only when something could not be measured: a figure is not a test.
 */

const BENCHES = { start, functions, alias, create, transfer, git, inference, rollback, mlflow };

const asked = process.argv.slice(2).filter((argument) => argument !== '--json');
const unknown = asked.find((name) => !(name in BENCHES));
if (unknown !== undefined) {
  const names = Object.keys(BENCHES).join(', ');
  process.stderr.write(`There is no measurement "${unknown}"; there are ${names}.\n`);
  process.exit(2);
}
const json = process.argv.includes('--json');
const work = await mkdtemp(join(tmpdir(), 'cairn-bench-'));
const results: Measurement[] = [];
process.once('SIGINT', () => {
  rmSync(work, { recursive: true, force: true });
  process.exit(130);
});
if (!json) print('', 'what', 'client', 'figure', 'bar');
try {
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    const dir = join(work, name);
    await mkdir(dir);
    try {
      for (const result of await bench({ dir })) {
        results.push(result);
        if (!json) printResult(result);
      }
    } catch (error) {
      process.exitCode = 1;
      process.stderr.write(`${name} could not be measured: ${(error as Error).message}\n`);
    }
    await rm(dir, { recursive: true, force: true });
  }
} finally {
  await rm(work, { recursive: true, force: true });
}
if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);

function printResult({ what, client, figure, bar, reached }: Measurement): void {
  const mark = reached === undefined ? ' ' : reached ? '✓' : '✗';
  print(mark, what, client, figure, bar ?? '');
}

function print(mark: string, what: string, client: string, figure: string, bar: string): void {
  const row = [mark.padEnd(1), what.padEnd(50), client.padEnd(12), figure.padEnd(66), bar];
  process.stdout.write(`${row.join(' ').trimEnd()}\n`);
}
