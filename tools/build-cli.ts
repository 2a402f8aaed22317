import { chmod, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const project = resolve(import.meta.dirname, '..');

/**
 * Bundles the `cairn` command with all it imports into one executable file of plain JavaScript, for Node 20 and newer.
 * @returns its size in bytes
 */
export async function buildCli(entry: string, outfile: string): Promise<number> {
  const { version } = JSON.parse(await readFile(join(project, 'package.json'), 'utf8'));
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    minifySyntax: true,
    legalComments: 'inline',
    logLevel: 'warning',
    define: { CAIRN_VERSION: JSON.stringify(version) },
    // Bundled CommonJS modules call `require` for Node's own modules, which an ES module does not have.
    banner: {
      js: [
        '#!/usr/bin/env node',
        "import { createRequire as createBundleRequire } from 'node:module';",
        'const require = createBundleRequire(import.meta.url);',
      ].join('\n'),
    },
  });
  await chmod(outfile, 0o755);
  return (await stat(outfile)).size;
}

if (import.meta.main) {
  const outfile = join(project, 'dist/cairn.js');
  console.log(
    `dist/cairn.js: ${Math.round((await buildCli(join(project, 'cli/main.ts'), outfile)) / 1024)} KiB`,
  );
}
