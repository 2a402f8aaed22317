import { systemCaller } from '../shared/access/caller.ts';
import { openDataDir } from '../shared/adapters/local/data-dir.ts';
import { openFilesystemBlobStore } from '../shared/adapters/local/filesystem-blob-store.ts';
import { openInProcessBus } from '../shared/adapters/local/in-process-bus.ts';
import { openKeyFile } from '../shared/adapters/local/key-file.ts';
import { openSqliteTable } from '../shared/adapters/local/sqlite-table.ts';
import { systemClock } from '../shared/adapters/local/system-clock.ts';
import type { Ports } from '../shared/ports/ports.ts';
import type { Op } from '../shared/ports/table.ts';
import { moveAlias } from '../shared/registry/alias.ts';
import { consolidate } from '../shared/registry/consolidate.ts';
import { createVersion } from '../shared/registry/create-version.ts';
import { repositoryKey, versionKey } from '../shared/registry/keys.ts';
import { createModel } from '../shared/registry/model.ts';
import { readRepository } from '../shared/registry/repository.ts';
import { ensureDefaultWorkspace } from '../shared/registry/workspace.ts';

export interface FilledModel {
  readonly name: string;
  readonly versions: number;
  /** Named `a0`, `a1` …, spread over the versions. */
  readonly aliases: number;
}

const caller = systemCaller('bench', 'bench');

/** Fills a data folder, without a server, with models of many versions. */
export async function fillModels(dataDir: string, models: readonly FilledModel[]): Promise<void> {
  await withPorts(dataDir, async (ports) => {
    for (const model of models) await fill(ports, model);
  });
}

/** Fills a data folder with a model whose versions were all made one by one, and consolidated as housekeeping does. */
export async function fillRepository(dataDir: string, name: string, versions: number): Promise<void> {
  await withPorts(dataDir, async (ports) => {
    const ref = { workspace: 'default', name };
    const model = await createModel(ports, caller, { ...ref, description: '', tags: {} });
    const draft = { message: '', description: '', tags: {}, source: { via: 'api' as const } };
    for (let n = 0; n < versions; n++) {
      await createVersion(ports, caller, ref, draft, [
        { path: `file${n % 50}.txt`, bytes: Buffer.from(`${n}`) },
      ]);
    }
    await consolidate(ports, model);
  });
}

async function withPorts(dataDir: string, work: (ports: Ports) => Promise<void>): Promise<void> {
  const data = await openDataDir(dataDir);
  const table = await openSqliteTable(data.table);
  const keys = await openKeyFile(data.keys);
  const signingKey = keys.hmacKey('storage');
  const clock = systemClock;
  const blobs = await openFilesystemBlobStore({ root: data.blobs, baseUrl: () => '', signingKey, clock });
  const ports: Ports = { table, keys, bus: openInProcessBus(() => undefined), blobs, clock };
  await ensureDefaultWorkspace(ports);
  await work(ports);
  await table.close();
  data.release();
}

/** The domain makes the model, its first version and the aliases; the other versions are copies of the first's record. */
async function fill(ports: Ports, { name, versions, aliases }: FilledModel): Promise<void> {
  const ref = { workspace: 'default', name };
  const { id } = await createModel(ports, caller, { ...ref, description: '', tags: {} });
  const draft = { message: '', description: '', tags: {}, source: { via: 'api' as const } };
  const file = { path: 'a.txt', bytes: Buffer.from('a') };
  const { rev: _, ...first } = await createVersion(ports, caller, ref, draft, [file]);
  for (let from = 2; from <= versions; from += 100) {
    const numbers = Array.from({ length: Math.min(100, versions - from + 1) }, (_, n) => from + n);
    const put = (number: number): Op => ({
      put: { ...versionKey(id, number), body: { ...first, number } },
      if: 'absent',
    });
    await ports.table.transact(numbers.map(put));
  }
  const root = await readRepository(ports.table, id);
  await ports.table.transact([
    {
      put: { ...repositoryKey(id), body: { ...root.body, nextNumber: versions + 1 } },
      if: { rev: root.rev },
    },
  ]);
  for (let n = 0; n < aliases; n++) {
    const version = 1 + Math.floor((n * versions) / aliases);
    await moveAlias(ports, caller, { ...ref, alias: `a${n}` }, version);
  }
}
