import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { IMAGE_SOURCES, type ImageName } from '../infra/images.ts';
import { makeBaseImages } from './base-images.ts';

const exec = promisify(execFile);
const PROJECT = resolve(import.meta.dirname, '..');
const BUILT = join(PROJECT, '.peers/images');
const MAX_OUTPUT = 64 * 1024 * 1024;

/**
 * Builds functions/<name>/Dockerfile as it stands, all its stages, on an engine that reaches package registries but no image registry:
 * the images that it begins with are made here. What was built of the same sources before is loaded instead. DOCKER_HOST tells
 * which engine.
 */
export async function buildImage(name: ImageName, tag: string): Promise<void> {
  const built = join(BUILT, `${name}-${(await digestOf(IMAGE_SOURCES[name])).slice(0, 32)}.tar`);
  const kept = `cairn-${name}:built`;
  if (existsSync(built)) {
    await docker('load', '--input', built);
  } else {
    await makeBaseImages(process.env);
    await buildAsItStands(name, kept);
    await mkdir(BUILT, { recursive: true });
    for (const old of await readdir(BUILT))
      if (old.startsWith(`${name}-`)) await rm(join(BUILT, old), { force: true });
    await docker('save', '--output', `${built}.part`, kept);
    await rename(`${built}.part`, built);
  }
  await docker('tag', kept, tag);
}

async function buildAsItStands(name: ImageName, tag: string): Promise<void> {
  const secrets = await mkdtemp(join(tmpdir(), 'cairn-secrets-'));
  try {
    const { stdout: registry } = await exec('npm', ['config', 'get', 'registry'], { cwd: secrets });
    await writeFile(join(secrets, 'npmrc'), `registry=${registry.trim()}\n`);
    const index = await exec('pip', ['config', 'get', 'global.index-url']).catch(() => ({ stdout: '' }));
    const pip = index.stdout.trim() === '' ? '' : `[global]\nindex-url = ${index.stdout.trim()}\n`;
    await writeFile(join(secrets, 'pip.conf'), pip);
    const args = [
      // This machine's own network: several engines on one machine take each other's rules for containers away.
      ...['build', '--network', 'host', '--file', `functions/${name}/Dockerfile`, '--tag', tag],
      ...['--secret', `id=npmrc,src=${secrets}/npmrc`, '--secret', `id=pip,src=${secrets}/pip.conf`],
      '.',
    ];
    const env = { ...process.env, DOCKER_BUILDKIT: '1', BUILDKIT_PROGRESS: 'plain' };
    await exec(await clientWithBuildKit(), args, { cwd: PROJECT, env, maxBuffer: MAX_OUTPUT });
  } finally {
    await rm(secrets, { recursive: true, force: true });
  }
}

/** Newer clients have BuildKit as a plugin, which need not be there; those of Debian 12 have it inside. */
async function clientWithBuildKit(): Promise<string> {
  for (const client of ['docker', '/usr/bin/docker']) {
    const plugin = await exec(client, ['buildx', 'version']).catch(() => undefined);
    if (plugin) return client;
    const version = await exec(client, ['--version']).catch(() => ({ stdout: '' }));
    if (Number(/version (\d+)/.exec(version.stdout)?.[1] ?? 99) < 23) return client;
  }
  throw new Error('The Dockerfiles need BuildKit: no docker command here has it.');
}

const docker = (...args: string[]) => exec('docker', args, { maxBuffer: MAX_OUTPUT });

async function digestOf(paths: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(process.version);
  for (const path of paths) {
    const below = await readdir(join(PROJECT, path), { recursive: true, withFileTypes: true }).catch(
      () => [],
    );
    const files = below.filter((entry) => entry.isFile() && !entry.parentPath.includes('__pycache__'));
    const names = files.map(({ parentPath, name }) => join(parentPath, name));
    for (const file of names.length > 0 ? names.sort() : [join(PROJECT, path)])
      hash.update(`${file.slice(PROJECT.length)}\n`).update(await readFile(file));
  }
  return hash.digest('hex');
}

if (import.meta.main) {
  const [name = 'model-server', tag = `cairn-${name}`] = process.argv.slice(2);
  if (!(name in IMAGE_SOURCES)) throw new Error('usage: container-image.ts model-server|python-server [tag]');
  await buildImage(name as ImageName, tag);
  console.log(tag);
}
