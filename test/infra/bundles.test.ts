import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle, FUNCTIONS } from '../../infra/bundle.ts';

const LIMIT = 1.5e6;

let outdir: string;
beforeAll(async () => {
  outdir = mkdtempSync(join(tmpdir(), 'cairn-bundles-'));
  await Promise.all(FUNCTIONS.map((name) => bundle(name, join(outdir, name))));
});
afterAll(() => rmSync(outdir, { recursive: true }));

const modules = (folder: string) => readdirSync(join(outdir, folder)).filter((file) => file.endsWith('.mjs'));

test.each(FUNCTIONS)('%s: its code is at most 1.5 MB, with a source map for each file', (folder) => {
  const files = modules(folder);
  expect(files).toContain('index.mjs');
  const bytes = files
    .map((file) => statSync(join(outdir, folder, file)).size)
    .reduce((sum, size) => sum + size);
  expect(bytes).toBeLessThanOrEqual(LIMIT);
  for (const file of files) {
    const map = JSON.parse(readFileSync(join(outdir, folder, `${file}.map`), 'utf8'));
    expect(map).not.toHaveProperty('sourcesContent');
  }
});

test.each(FUNCTIONS)('%s: needs nothing that is not in its bundle, and no native code', (folder) => {
  for (const file of modules(folder)) {
    const code = readFileSync(join(outdir, folder, file), 'utf8');
    expect(code).not.toContain('onnxruntime-node');
    for (const [, from = ''] of code.matchAll(/(?:^|;)import(?:[^"';]*from)?["']([^"']+)["']/g)) {
      expect(from, file).toMatch(/^(node:|\.\/|[a-z_/]+$)/);
    }
  }
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
