import { AssetHashType, DockerImage } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { buildSync } from 'esbuild';

/** CommonJS packages inside the bundle call `require` for what Node has built in. */
const BANNER =
  "import { createRequire as cairnRequire } from 'node:module'; const require = cairnRequire(import.meta.url);";

/**
 * Bundles a function's entry to `index.mjs`: ESM, minified, with source maps; what is imported at run time comes in files
 * of its own, so that a route that does not need it does not load it. The SDK clients that are used come along: the
 * measurements are in docs/decisions/0006-functions-carry-their-clients.md.
 */
export function bundle(entry: string, outdir: string): void {
  buildSync({
    entryPoints: { index: entry },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    mainFields: ['module', 'main'],
    conditions: ['module'],
    outExtension: { '.js': '.mjs' },
    banner: { js: BANNER },
    minify: true,
    keepNames: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    external: ['onnxruntime-node', 'pino-pretty'],
    logLevel: 'error',
  });
}

/** The bundle of an entry as a function's code. */
export function bundledCode(folder: string): Code {
  return Code.fromAsset(folder, {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      image: DockerImage.fromRegistry('unused'),
      local: {
        tryBundle(outdir) {
          bundle(`${folder}/lambda.ts`, outdir);
          return true;
        },
      },
    },
  });
}
