import { spawnSync } from 'node:child_process';
import process from 'node:process';

/** A command, how it tells its version, and the Debian package that has it. */
export interface DebianCommand {
  readonly command: string;
  readonly version: string;
  readonly debian: string;
}

export function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

export const packagesMissing = (commands: readonly DebianCommand[]): string[] =>
  commands.filter(({ command, version }) => !runs(command, version)).map(({ debian }) => debian);

/** @throws Error with a sentence that begins with `why` */
export function installPackages(why: string, packages: readonly string[]): void {
  if (packages.length === 0) return;
  const names = [...new Set(packages)];
  const [command = 'apt-get', ...args] = process.getuid?.() === 0 ? ['apt-get'] : ['sudo', '-n', 'apt-get'];
  for (const what of [
    ['update', '-qq'],
    ['install', '-y', '-qq', '--no-install-recommends', ...names],
  ]) {
    const { status, error } = spawnSync(command, [...args, ...what], {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (status === 0) continue;
    const failed = `\`${[command, ...args, ...what].join(' ')}\` failed${error ? ` (${error.message})` : ''}`;
    throw new Error(`${why} need the Debian packages ${names.join(', ')}; install them by hand: ${failed}.`);
  }
}
