import { spawnSync } from 'node:child_process';
import process from 'node:process';

/**
 * Installs the programs that test/peers uses; what cannot be had fails with a sentence. Python packages are each test's own:
 * see test/peers/python.ts.
 */

/** Commands and the Debian packages that have them. */
const COMMANDS = [
  { command: 'git', version: '--version', debian: 'git' },
  { command: 'python3', version: '--version', debian: 'python3' },
] as const;

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

function run(why: string, command: string, ...args: string[]): void {
  const { status, error } = spawnSync(command, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', PIP_DISABLE_PIP_VERSION_CHECK: '1' },
  });
  if (status === 0) return;
  console.error(`${why}: \`${[command, ...args].join(' ')}\` failed${error ? ` (${error.message})` : ''}.`);
  process.exit(1);
}

function apt(packages: readonly string[]): void {
  const why = `The tests with real peers need the Debian packages ${packages.join(', ')}; install them by hand`;
  const root = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const [command = 'apt-get', ...args] = [...root, 'apt-get'];
  run(why, command, ...args, 'update', '-qq');
  run(why, command, ...args, 'install', '-y', '-qq', '--no-install-recommends', ...packages);
}

const missing: string[] = COMMANDS.filter(({ command, version }) => !runs(command, version)).map(
  ({ debian }) => debian,
);
if (!runs('python3', '-c', 'import ensurepip, venv')) missing.push('python3-venv');
if (missing.length > 0) apt(missing);
