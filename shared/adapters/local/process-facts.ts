import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Resident memory of a process in MiB; undefined when it is gone. */
export async function residentMiB(pid: number): Promise<number | undefined> {
  const kib =
    process.platform === 'linux'
      ? /^VmRSS:\s+(\d+) kB/m.exec(await readOrNothing(`/proc/${pid}/status`))?.[1]
      : (await ps(pid, 'rss=')).trim();
  return kib ? Number(kib) / 1024 : undefined;
}

/** When the process began, in words that name no other process of the same id; undefined when it is gone. */
export async function beginningOf(pid: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return (await ps(pid, 'lstart=')).trim() || undefined;
  // The command's name, in parentheses, may hold spaces: count from behind it. proc(5): starttime is field 22.
  const stat = await readOrNothing(`/proc/${pid}/stat`);
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
}

const readOrNothing = (path: string) => readFile(path, 'utf8').catch(() => '');

const ps = (pid: number, field: string) =>
  run('ps', ['-o', field, '-p', String(pid)]).then(
    ({ stdout }) => stdout,
    () => '',
  );
