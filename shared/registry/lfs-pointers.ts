import type { Ports } from '../ports/ports.ts';
import { POINTER_MAX, parseLfsPointer } from './git/lfs-pointer.ts';
import { type ObjectDatabase, peel } from './git/object-database.ts';
import { walkTrees } from './git/objects-to-send.ts';
import { turns } from './git/turns.ts';
import { readRefs } from './refs.ts';
import type { Repository } from './repository.ts';
import { objectIds, openObjects } from './repository-objects.ts';

type ReadPorts = Pick<Ports, 'table' | 'blobs'>;

interface Owner {
  readonly id: string;
  readonly workspace: string;
}

/** The SHA-256 of every LFS object that anything in the repository names. */
export async function* pointersInHistory(
  ports: ReadPorts,
  model: Owner,
  root: Repository,
): AsyncGenerator<string> {
  const database = await openObjects(ports, model, root);
  const turn = turns();
  for await (const oid of objectIds(ports, model, root)) {
    await turn();
    yield* pointerAt(database, oid);
  }
}

/** The SHA-256 of the LFS objects of what branches and tags, but the versions', name now. */
export async function* pointersAtTips(
  ports: ReadPorts,
  model: Owner,
  root: Repository,
): AsyncGenerator<string> {
  const database = await openObjects(ports, model, root);
  const trees: string[] = [];
  for (const { oid } of (await readRefs(ports, root)).values()) {
    const found = await peel(database, oid);
    const info = found && (await database.commit(found.oid));
    if (info) trees.push(info.tree);
  }
  const seen = new Set<string>();
  await walkTrees(database, trees, seen, () => true);
  for (const oid of seen) yield* pointerAt(database, oid);
}

async function* pointerAt(database: ObjectDatabase, oid: string): AsyncGenerator<string> {
  if ((await database.typeOf(oid)) !== 'blob' || (await database.sizeOf(oid)) >= POINTER_MAX) return;
  const object = await database.read(oid);
  const pointer = object && parseLfsPointer(object.content);
  if (pointer) yield pointer.sha256;
}
