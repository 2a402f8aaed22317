import { statfs } from 'node:fs/promises';
import { CairnError } from '../../shared/errors.ts';
import type { Table } from '../../shared/ports/table.ts';
import { workspaceKey } from '../../shared/registry/keys.ts';
import { DEFAULT_WORKSPACE } from '../../shared/registry/workspace.ts';

/** Below this many free bytes a version may no longer fit, and SQLite may not be able to commit. */
const FREE_MIN = 100 * 1024 * 1024;

const mebibytes = (bytes: number) => Math.floor(bytes / 1024 / 1024);

/** Whether Cairn can do its work: its table answers, its disk has room, and what has the bytes can be used. */
export function readiness(table: Table, dataDir: string, bytes: () => Promise<void>) {
  return async (): Promise<void> => {
    if (!(await table.get(workspaceKey(DEFAULT_WORKSPACE)))) throw new Error('The table does not answer.');
    const { bavail, bsize } = await statfs(dataDir);
    const free = bavail * bsize;
    if (free < FREE_MIN) {
      const detail = `Only ${mebibytes(free)} MiB are free where the data is; ${mebibytes(FREE_MIN)} are needed.`;
      throw new CairnError('STORAGE_FULL', detail);
    }
    await bytes();
  };
}
