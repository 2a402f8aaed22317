import { readdirSync, readFileSync } from 'node:fs';

/** Resident memory of a process in MB: now, and the most that it has ever been. @throws Error when it has ended */
export function memory(pid: number | undefined): { readonly resident: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (field: string) =>
    Math.round((Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6);
  return { resident: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}

/** Memory in MB of a process and all below it, what they share counted once (proportional set size). */
export function groupMemory(pid: number): number {
  const [, kilobytes] = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? [];
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
  return children.reduce((sum, child) => sum + groupMemory(child), (Number(kilobytes) * 1024) / 1e6);
}
