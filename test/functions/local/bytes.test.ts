import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

test('a Cairn whose bytes are on its disk does not load the client of S3', async () => {
  const project = join(import.meta.dirname, '../../..');
  const { metafile } = await build({
    absWorkingDir: project,
    entryPoints: ['functions/local/main.ts'],
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outdir: 'out',
  });
  /** All that a file has loaded when it has begun. */
  const loaded = (file: string, seen = new Set<string>()): Set<string> => {
    if (seen.has(file)) return seen;
    seen.add(file);
    for (const { path, kind } of metafile.inputs[file]?.imports ?? [])
      if (kind === 'import-statement') loaded(path, seen);
    return seen;
  };
  const files = [...loaded('functions/local/main.ts')];
  expect(files).toContain('functions/local/bytes.ts');
  expect(files.filter((file) => file.startsWith('@aws-sdk/') || file.includes('adapters/aws'))).toEqual([]);
  expect([...loaded('functions/local/bucket-bytes.ts')]).toContain('@aws-sdk/client-s3');
});
