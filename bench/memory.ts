import { readFileSync } from 'node:fs';

/** Resident memory of a process in MB: now, and the most that it has ever been. @throws Error when it has ended */
export function memory(pid: number | undefined): { readonly resident: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const megabytes = (field: string) =>
    Math.round((Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6);
  return { resident: megabytes('VmRSS'), peak: megabytes('VmHWM') };
}
