import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beginningOf } from './process-facts.ts';

/** Remembers on disk which processes run, so that the next start can end those that outlived the last one. */
export class ProcessLedger {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  async add(pid: number): Promise<void> {
    const beginning = await beginningOf(pid);
    if (beginning !== undefined) writeFileSync(join(this.#directory, String(pid)), beginning);
  }

  remove(pid: number): void {
    rmSync(join(this.#directory, String(pid)), { force: true });
  }

  /** Ends the processes in the ledger that are still the ones it means. */
  async endAll(): Promise<void> {
    for (const name of readdirSync(this.#directory)) {
      const pid = Number(name);
      const beginning = readFileSync(join(this.#directory, name), 'utf8');
      if ((await beginningOf(pid)) === beginning) killIfThere(pid);
      this.remove(pid);
    }
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
