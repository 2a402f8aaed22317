import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { bundleModelServer } from './bundle-model-server.ts';

const exec = promisify(execFile);
const PROJECT = resolve(import.meta.dirname, '..');
const ARCH: Partial<Record<NodeJS.Architecture, string>> = { x64: 'amd64', arm64: 'arm64' };

/**
 * Builds the image of the model server's Dockerfile, its last stage word for word, from this machine's Node and C libraries
 * instead of a base image: for engines that reach no registry. DOCKER_HOST tells which engine.
 */
export async function buildModelServerImage(tag: string): Promise<void> {
  const arch = ARCH[process.arch];
  if (process.platform !== 'linux' || arch === undefined) {
    throw new Error(`An image from this machine's own files needs Linux on amd64 or arm64.`);
  }
  const context = await mkdtemp(join(tmpdir(), 'cairn-image-'));
  try {
    await bundleModelServer(join(context, 'app'), arch);
    const root = join(context, 'rootfs');
    const node = join(root, 'usr/local/bin/node');
    await mkdir(dirname(node), { recursive: true });
    await copyFile(process.execPath, node);
    const addons = (await readdir(join(context, 'app'), { recursive: true }))
      .filter((file) => /\.node$|\.so(\.\d+)*$/.test(file))
      .map((file) => join(context, 'app', file));
    for (const library of await librariesOf([process.execPath, ...addons])) {
      await mkdir(dirname(join(root, library)), { recursive: true });
      await copyFile(library, join(root, library));
    }
    await mkdir(join(root, 'tmp'));
    await chmod(join(root, 'tmp'), 0o1777);
    await writeFile(join(context, 'Dockerfile'), await lastStage());
    await exec('docker', ['build', '--quiet', '--tag', tag, context], { env: withoutBuildKit() });
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function lastStage(): Promise<string> {
  const text = await readFile(join(PROJECT, 'functions/model-server/Dockerfile'), 'utf8');
  const stage = text.slice(text.lastIndexOf('\nFROM '));
  const replaced = stage
    .replace(/^\nFROM .*/, 'FROM scratch\nCOPY rootfs /')
    .replace('COPY --from=build /app /app', 'COPY app /app');
  if (/\$\{|--from/.test(replaced))
    throw new Error('The Dockerfile’s last stage needs more than /app and Node.');
  return replaced;
}

/** What the programs load, by the dynamic loader's own word. */
async function librariesOf(programs: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (const program of programs) {
    const { stdout } = await exec('ldd', [program]);
    for (const [, path = ''] of stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)) {
      if (!programs.includes(path)) found.add(path);
    }
  }
  return found;
}

/** BuildKit is a plugin that an engine need not have. */
const withoutBuildKit = () => ({ ...process.env, DOCKER_BUILDKIT: '0' });

if (import.meta.main) {
  const [tag = 'cairn-model-server'] = process.argv.slice(2);
  await buildModelServerImage(tag);
  console.log(tag);
}
