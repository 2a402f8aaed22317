import { exclusively } from '../audit/commit.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { collectGarbage, GRACE_MS, type Reclaimed } from '../storage/garbage.ts';
import { blobsPrefix, stagingPrefix } from '../storage/prefix.ts';
import { readFileList } from './file-list.ts';
import { modelChain, UPLOAD_PREFIX, USE_PREFIX, usePrefix, VERSION_PREFIX } from './keys.ts';
import { pointersAtTips, pointersInHistory } from './lfs-pointers.ts';
import type { StoredModel } from './model.ts';
import { readRepository } from './repository.ts';
import { readPlan } from './upload-plan.ts';
import { isOpen, type Upload } from './upload-record.ts';
import { fileListName, storedVersion } from './version.ts';

/**
 * Removes bytes of a model that nothing refers to any more: no version that was not deleted, no endpoint's revision,
 * no open upload. Holds back the model's writers meanwhile.
 */
export async function reclaim(ports: Ports, model: StoredModel): Promise<Reclaimed> {
  return exclusively(modelChain(model.id), async () => {
    const open = await openUploads(ports, model);
    const live = await liveDigests(ports, model, open);
    const before = ports.clock.now() - GRACE_MS;
    const collect = (prefix: string, isLive: (name: string) => boolean) =>
      collectGarbage(ports.blobs, prefix, isLive, before);
    const blobs = await collect(blobsPrefix(model.workspace, model.id), (sha256) => live.has(sha256));
    // A signed URL outlives its upload, and an LFS object may never be verified: what was sent then is nobody's.
    const staged = await collect(stagingPrefix(model.workspace, model.id), (name) =>
      open.has(name.slice(0, name.indexOf('/'))),
    );
    return { objects: blobs.objects + staged.objects, bytes: blobs.bytes + staged.bytes };
  });
}

async function openUploads(ports: Ports, model: StoredModel): Promise<Set<string>> {
  const open = new Set<string>();
  for await (const item of itemsOf(ports.table, modelChain(model.id), UPLOAD_PREFIX)) {
    const upload = item.body as Upload;
    if (isOpen(upload)) open.add(upload.id);
  }
  return open;
}

async function liveDigests(
  ports: Ports,
  model: StoredModel,
  open: ReadonlySet<string>,
): Promise<Set<string>> {
  const chain = modelChain(model.id);
  const used = (await Array.fromAsync(itemsOf(ports.table, chain, USE_PREFIX))).map(({ sk }) => sk);
  const live = new Set<string>();
  const dead = new Set<string>();
  for await (const item of itemsOf(ports.table, chain, VERSION_PREFIX)) {
    const { number, deletedAt } = storedVersion(item);
    const deleted = deletedAt !== undefined && !used.some((sk) => sk.startsWith(usePrefix(number)));
    const files = await readFileList(ports, model.id, fileListName(number));
    for (const { sha256 } of files ?? []) (deleted ? dead : live).add(sha256);
  }
  const root = (await readRepository(ports.table, model.id)).body;
  if (root.pushed) {
    // Deleting a version gives its bytes up, although its commit still names them; what a branch holds now stays.
    for await (const sha256 of pointersInHistory(ports, model, root)) if (!dead.has(sha256)) live.add(sha256);
    for await (const sha256 of pointersAtTips(ports, model, root)) live.add(sha256);
  }
  for (const upload of open) for (const { sha256 } of await readPlan(ports, model, upload)) live.add(sha256);
  return live;
}
