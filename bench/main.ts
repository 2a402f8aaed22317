import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { alias } from './alias.ts';
import { create } from './create.ts';
import { inference } from './inference.ts';
import type { Measurement } from './measurement.ts';
import { rollback } from './rollback.ts';
import { start } from './start.ts';
import { transfer } from './transfer.ts';

/**
 * `npm run bench [name …] [-- --json]`: figures of this machine, each held against a peer or a physical limit measured in
 * the same run. Exits non-zero only when something could not be measured.
 */

const BENCHES = { start, alias, create, transfer, inference, rollback };

const asked = process.argv.slice(2).filter((argument) => argument !== '--json');
const unknown = asked.find((name) => !(name in BENCHES));
if (unknown !== undefined) {
  process.stderr.write(
    `There is no measurement "${unknown}"; there are ${Object.keys(BENCHES).join(', ')}.\n`,
  );
  process.exit(2);
}
const json = process.argv.includes('--json');
const work = await mkdtemp(join(tmpdir(), 'cairn-bench-'));
const results: Measurement[] = [];
try {
  for (const [name, bench] of Object.entries(BENCHES)) {
    if (asked.length > 0 && !asked.includes(name)) continue;
    const dir = join(work, name);
    await mkdir(dir);
    for (const result of await bench({ dir })) {
      results.push(result);
      if (!json) process.stdout.write(`${row(result)}\n`);
    }
    await rm(dir, { recursive: true, force: true });
  }
} finally {
  await rm(work, { recursive: true, force: true });
}
if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);

function row({ what, figure, bar, reached }: Measurement): string {
  return `${reached ? '✓' : '✗'} ${what.padEnd(58)} ${figure.padEnd(48)} ${bar}`;
}
