import { execFile } from 'node:child_process';
import { copyFile, cp, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

const exec = promisify(execFile);
/** Debian's root file system, made by tools/peers.ts of Debian's own packages. */
const ROOT_FS = resolve(import.meta.dirname, '../.peers/debian.tar');

/** A package registry may stand behind a proxy that only this machine trusts. */
const TRUST = [
  'COPY ca-certificates.crt /etc/ssl/certs/ca-certificates.crt',
  'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt',
];

/**
 * Gives an engine that reaches no image registry the images that the Dockerfiles begin with, under the names that stand there: Debian's
 * packages, this project's Node and this machine's npm.
 */
export async function makeBaseImages(env: NodeJS.ProcessEnv): Promise<void> {
  const context = await mkdtemp(join(tmpdir(), 'cairn-base-'));
  try {
    await exec('docker', ['import', ROOT_FS, 'cairn-debian'], { env });
    const npm = await realpath((await exec('sh', ['-c', 'command -v npm'])).stdout.trim());
    await cp(dirname(dirname(npm)), join(context, 'npm'), { recursive: true });
    await copyFile(process.execPath, join(context, 'node'));
    const trusted = process.env.NODE_EXTRA_CA_CERTS ?? '/etc/ssl/certs/ca-certificates.crt';
    await copyFile(trusted, join(context, 'ca-certificates.crt'));
    await build('node:24-bookworm-slim', [
      ...TRUST,
      'COPY node /usr/local/bin/node',
      'COPY npm /usr/local/lib/node_modules/npm',
      'RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm',
    ]);
    await build('python:3.11-slim-bookworm', [...TRUST, 'RUN ln -s /usr/bin/python3 /usr/local/bin/python']);
  } finally {
    await rm(context, { recursive: true, force: true });
  }

  async function build(name: string, lines: readonly string[]): Promise<void> {
    await writeFile(join(context, 'Dockerfile'), ['FROM cairn-debian', ...lines, ''].join('\n'));
    const old = { ...env, DOCKER_BUILDKIT: '0' };
    await exec('docker', ['build', '--quiet', '--tag', name, context], { env: old });
  }
}
