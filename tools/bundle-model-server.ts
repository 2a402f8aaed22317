import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { build } from 'esbuild';

const PROJECT = resolve(import.meta.dirname, '..');
const SOURCES = join(PROJECT, 'functions/model-server');
const ORT = 'node_modules/onnxruntime-node';
/** The runtime's native interface, whose folder is named by its version. */
const NATIVE = 'bin/napi-v6/linux';

/** Asks the server itself; what a container's engine runs to see whether it is well. */
export const HEALTH_CHECK = `import { get } from 'node:http';
const request = get({ port: process.env.CAIRN_PORT, path: '/ping', timeout: 4000 }, ({ statusCode }) => process.exit(statusCode === 200 ? 0 : 1));
request.on('timeout', () => process.exit(1)).on('error', () => process.exit(1));
`;

/**
 * Puts what a container of the model server needs, but for Node, into a folder: the server in plain JavaScript and, of
 * ONNX Runtime, the CPU's files for Linux on that architecture.
 * @param arch as Docker names it: `amd64` or `arm64`
 */
export async function bundleModelServer(outdir: string, arch: string): Promise<void> {
  await mkdir(outdir, { recursive: true });
  await build({
    entryPoints: [join(SOURCES, 'main.ts'), join(SOURCES, 'runtime-worker.ts')],
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    external: ['onnxruntime-node'],
    minifySyntax: true,
    legalComments: 'inline',
    logLevel: 'warning',
  });
  await writeFile(join(outdir, 'health-check.mjs'), HEALTH_CHECK);
  const files = [
    'node_modules/onnxruntime-common/package.json',
    'node_modules/onnxruntime-common/dist/cjs',
    `${ORT}/package.json`,
    `${ORT}/dist`,
    `${ORT}/${NATIVE}/${arch === 'amd64' ? 'x64' : arch}`,
  ];
  for (const file of files) {
    const filter = (source: string) => !/\.(map|d\.ts)$/.test(source);
    await cp(join(PROJECT, file), join(outdir, file), { recursive: true, filter });
  }
}

if (import.meta.main) {
  const [outdir, arch] = process.argv.slice(2);
  if (!outdir || !arch) throw new Error('usage: bundle-model-server.ts <folder> amd64|arm64');
  await bundleModelServer(resolve(outdir), arch);
}
