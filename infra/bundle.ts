import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { type BuildOptions, type BuildResult, build, type Plugin } from 'esbuild';

export const FUNCTIONS = [
  'api',
  'authorizer',
  'deliver-webhook',
  'on-alarm',
  'reconcile',
  'register-upload',
  'revision-files',
  'verify-upload',
] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** What Node is told where the bundles run: errors in the log name the lines of the sources. */
export const NODE_OPTIONS = '--enable-source-maps';

/** Packages in CommonJS call `require` for what Node has built in. */
const BANNER =
  "import { createRequire as cairnRequire } from 'node:module'; const require = cairnRequire(import.meta.url);";

/** zod brings its messages in forty languages, 260 KB, where Cairn's are English. */
const ENGLISH: Plugin = {
  name: 'english',
  setup({ onLoad }) {
    onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
    }));
  },
};

/** hash-wasm's one module holds every hash that it knows, 200 KB; these are the two that Cairn needs. */
const HASHES: Plugin = {
  name: 'hashes',
  setup({ onLoad }) {
    onLoad({ filter: /\/hash-wasm\/dist\/index\.esm\.js$/ }, () => ({
      contents: [
        "export { createCRC64 } from './crc64.umd.min.js';",
        "export { createSHA256 } from './sha256.umd.min.js';",
      ].join('\n'),
    }));
  },
};

/** A function has its role's credentials in its environment; the SDK also looks in nine other places, with clients of their own. */
const CREDENTIALS: Plugin = {
  name: 'credentials',
  setup({ onLoad }) {
    onLoad({ filter: /\/@aws-sdk\/credential-provider-node\/dist-es\/index\.js$/ }, () => ({
      contents: "export { fromEnv as defaultProvider } from '@aws-sdk/credential-provider-env';",
    }));
  },
};

/**
 * pino can hand its lines to a thread, where functions write them to their standard output. For that it asks who called it,
 * and with source maps on Node then decodes the whole map of the function, 70 ms.
 */
const LINES: Plugin = {
  name: 'lines',
  setup({ onLoad }) {
    onLoad({ filter: /\/pino\/lib\/transport\.js$/ }, () => ({
      contents: "module.exports = () => { throw new Error('A function has no threads for its log.'); };",
    }));
    onLoad({ filter: /\/pino\/lib\/caller\.js$/ }, () => ({ contents: 'module.exports = () => undefined;' }));
  },
};

/**
 * An `import` of one name from a module of Node's reads all that the module exports, and some of it loads a lot: `node:http`
 * the whole of fetch, 30 ms (nodejs/node issue 59686). So only what is used is read.
 */
const BUILT_IN: Plugin = {
  name: 'built-in',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^[a-z]/ }, ({ path, kind }) =>
      kind === 'import-statement' && isBuiltin(path)
        ? { path, namespace: 'built-in', sideEffects: false }
        : undefined,
    );
    onLoad({ filter: /./, namespace: 'built-in' }, ({ path }) => ({
      contents: [
        `const built = process.getBuiltinModule(${JSON.stringify(path)});`,
        'export default built;',
        ...Object.keys(process.getBuiltinModule(path) ?? {}).map(
          (name) => `export const ${name} = /* @__PURE__ */ (() => built.${name})();`,
        ),
      ].join('\n'),
    }));
  },
};

/** Of a package.json, its version: all that is read of one. */
const VERSION: Plugin = {
  name: 'version',
  setup({ onLoad }) {
    onLoad({ filter: /package\.json$/ }, async ({ path }) => {
      const { version } = JSON.parse(await readFile(path, 'utf8'));
      return { contents: JSON.stringify({ version }), loader: 'json' };
    });
  },
};

/**
 * Bundles `functions/<name>/lambda.ts` to `<outdir>/index.mjs`: ESM, minified, with source maps; what is imported at run
 * time comes in files of its own, so that a request that does not need it does not load it. The SDK clients that are used
 * come along: docs/decisions/0007-functions-carry-their-clients.md has why.
 */
export function bundle(name: FunctionName, outdir: string): Promise<BuildResult<typeof OPTIONS>> {
  const entry = join(import.meta.dirname, '../functions', name, 'lambda.ts');
  return build({ ...OPTIONS, entryPoints: { index: entry }, outdir });
}

const OPTIONS = {
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  mainFields: ['module', 'main'],
  conditions: ['module'],
  outExtension: { '.js': '.mjs' },
  banner: { js: BANNER },
  plugins: [BUILT_IN, CREDENTIALS, ENGLISH, HASHES, LINES, VERSION],
  minify: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: 'none',
  metafile: true,
  // What the SDK's user agent in browsers is read with: nothing imports it, and esbuild makes a file of it all the same.
  external: ['bowser'],
  logLevel: 'error',
} as const satisfies BuildOptions;
