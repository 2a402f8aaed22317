import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { build } from 'esbuild';
import { HEALTH_CHECK } from './bundle-model-server.ts';

const SOURCES = resolve(import.meta.dirname, '../functions/python-server');

/** Puts what a container for Python models needs, but for Node and Python, into a folder. */
async function bundlePythonServer(outdir: string): Promise<void> {
  await mkdir(outdir, { recursive: true });
  await build({
    entryPoints: [join(SOURCES, 'main.ts')],
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifySyntax: true,
    legalComments: 'inline',
    logLevel: 'warning',
    // A package among those bundled asks for Node's own modules by `require`.
    banner: {
      js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);",
    },
  });
  await writeFile(join(outdir, 'health-check.mjs'), HEALTH_CHECK);
  for (const file of ['main.py', 'answers.py', 'failures.py', 'landlock.py', 'requirements.txt'])
    await copyFile(join(SOURCES, file), join(outdir, file));
}

const [outdir] = process.argv.slice(2);
if (!outdir) throw new Error('usage: bundle-python-server.ts <folder>');
await bundlePythonServer(resolve(outdir));
