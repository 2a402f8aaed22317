import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const PROJECT = resolve(import.meta.dirname, '../..');
const BIOME = join(PROJECT, 'node_modules/.bin/biome');

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'cairn-arrows-'));
  for (const file of ['biome.json', 'package.json', 'tools/lint']) {
    cpSync(join(PROJECT, file), join(directory, file), { recursive: true });
  }
});
afterEach(() => rmSync(directory, { recursive: true }));

/** What `npm run check` says of a project with this one file. */
function check(path: string, source: string): { passes: boolean; says: string } {
  mkdirSync(join(directory, dirname(path)), { recursive: true });
  writeFileSync(join(directory, path), `${source}\n`);
  const arrows = ['--only=style/noRestrictedImports', '--only=plugin'];
  const run = spawnSync(BIOME, ['lint', '--vcs-enabled=false', '--colors=off', ...arrows, path], {
    cwd: directory,
    encoding: 'utf8',
  });
  return { passes: run.status === 0, says: run.stdout + run.stderr };
}

const from = (specifier: string) => `import { x } from '${specifier}';\nexport const y = x;`;

describe('a wrong arrow fails the check', () => {
  test.each([
    ['shared/registry/model.ts', '../adapters/local/sqlite-table.ts', 'Dependencies point one way'],
    ['shared/registry/model.ts', '../../functions/api/app.ts', 'Dependencies point one way'],
    ['shared/errors.ts', './adapters/local/sqlite-table.ts', 'Dependencies point one way'],
    ['shared/serving/rollout.ts', '@aws-sdk/client-ecs', 'imports no SDK'],
    ['shared/registry/onnx.ts', 'onnxruntime-node', 'imports no SDK'],
    ['shared/access/token.ts', 'hono/http-exception', 'imports no HTTP framework'],
    ['shared/access/token.ts', 'node:http', 'imports no HTTP framework'],
    ['shared/storage/upload.ts', 'node:fs/promises', 'does not touch the machine'],
    ['shared/storage/upload.ts', 'node:child_process', 'does not touch the machine'],
    ['shared/storage/upload.ts', 'node:worker_threads', 'does not touch the machine'],
    ['shared/ports/table.ts', '../registry/model.ts', 'A port imports other ports'],
    ['shared/ports/table.ts', 'zod', 'A port imports other ports'],
    ['shared/adapters/local/gateway.ts', '../../../functions/local/main.ts', 'An adapter implements a port'],
    ['shared/adapters/aws/s3.ts', 'hono', 'An adapter implements a port'],
    ['functions/api/app.ts', '../../shared/adapters/local/sqlite-table.ts', 'Only the composition roots'],
    ['functions/on-alarm/handler.ts', '../../cli/main.ts', 'Only the composition roots'],
    ['cli/push.ts', '../functions/api/app.ts', 'The CLI speaks HTTP'],
    ['cli/push.ts', '../shared/adapters/local/sqlite-table.ts', 'The CLI speaks HTTP'],
    ['infra/api.ts', '../functions/api/app.ts', 'A stack names a function by its folder'],
  ])('%s imports %s', (path, specifier, says) => {
    const found = check(path, from(specifier));
    expect(found.says).toContain(says);
    expect(found.passes).toBe(false);
  });

  const adapter = '../adapters/local/sqlite-table.ts';
  test.each([
    ['a type', `import type { X } from '${adapter}';\nexport type Y = X;`],
    ['a type beside values', `import { type X, y } from '${adapter}';\nexport type Z = X | typeof y;`],
    ['for its effects', `import '${adapter}';`],
    ['what it exports again', `export { x } from '${adapter}';`],
    ['all that it exports again', `export * from '${adapter}';`],
    ['a type that it exports again', `export type { X } from '${adapter}';`],
    ['at run time', `export const x = await import('${adapter}');`],
    [
      'under a name put together at run time',
      `export const x = await import(\`../adapters/\${'local'}.ts\`);`,
    ],
    ['a type where it is used', `export type X = import('${adapter}').X;`],
    ['by require', `export const x = require('${adapter}');`],
  ])('however it is written: %s', (_, source) => {
    expect(check('shared/registry/model.ts', source).passes).toBe(false);
  });
});

describe('a right arrow passes', () => {
  test.each([
    ['shared/registry/model.ts', '../ports/table.ts'],
    ['shared/registry/model.ts', '../errors.ts'],
    ['shared/registry/model.ts', 'zod'],
    ['shared/registry/model.ts', 'node:crypto'],
    ['shared/ports/ports.ts', './table.ts'],
    ['shared/adapters/local/sqlite-table.ts', '../../ports/table.ts'],
    ['shared/adapters/local/sqlite-table.ts', 'node:sqlite'],
    ['shared/adapters/local/alarm-engine.ts', '../../monitoring/evaluate.ts'],
    ['shared/adapters/aws/s3.ts', '@aws-sdk/client-s3'],
    ['functions/api/app.ts', '../../shared/registry/model.ts'],
    ['functions/api/app.ts', 'hono'],
    ['functions/local/main.ts', '../../shared/adapters/local/sqlite-table.ts'],
    ['functions/local/main.ts', '../api/app.ts'],
    ['cli/audit.ts', '../shared/audit/event.ts'],
    ['test/shared/registry/model.test.ts', '../../../shared/adapters/local/sqlite-table.ts'],
  ])('%s imports %s', (path, specifier) => {
    expect(check(path, from(specifier))).toMatchObject({ passes: true });
  });
});
