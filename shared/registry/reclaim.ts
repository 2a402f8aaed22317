import pMap from 'p-map';
import type { BlobEntry } from '../ports/blob-store.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { collectGarbage, GRACE_MS, garbage, type Reclaimed } from '../storage/garbage.ts';
import { blobsPrefix, stagingPrefix } from '../storage/prefix.ts';
import { readFileList } from './file-list.ts';
import { modelChain, UPLOAD_PREFIX, USE_PREFIX, usePrefix, VERSION_PREFIX } from './keys.ts';
import { pointersAtTips, pointersInHistory } from './lfs-pointers.ts';
import { promisedObjects } from './lfs-promise.ts';
import type { StoredModel } from './model.ts';
import { readRepository } from './repository.ts';
import { announceSweep, endSweep, SWEEP_MAX, SWEEP_MS } from './sweep.ts';
import { readAdopted, readPlan } from './upload-plan.ts';
import { isOpen, type Upload } from './upload-record.ts';
import { fileListName, storedVersion } from './version.ts';

const PARALLEL = 16;

/**
 * Removes bytes of a model that nothing refers to any more: no version that was not deleted, no endpoint's revision, no
 * open upload, nothing in Git. Others read and write meanwhile: see docs/decisions/0013.
 */
export async function reclaim(ports: Ports, model: StoredModel): Promise<Reclaimed> {
  const blobs = await reclaimBlobs(ports, model);
  const open = new Set((await openUploads(ports, model)).map(({ id }) => id));
  // A signed URL outlives its upload, and an LFS object may never be verified: what was sent then is nobody's.
  const staged = await collectGarbage(
    ports.blobs,
    stagingPrefix(model.workspace, model.id),
    (name) => open.has(name.slice(0, name.indexOf('/'))),
    ports.clock.now() - GRACE_MS,
  );
  return { objects: blobs.objects + staged.objects, bytes: blobs.bytes + staged.bytes };
}

async function reclaimBlobs(ports: Ports, model: StoredModel): Promise<Reclaimed> {
  const prefix = blobsPrefix(model.workspace, model.id);
  const live = await liveDigests(ports, model);
  const found = garbage(ports.blobs, prefix, (sha256) => live.has(sha256), ports.clock.now() - GRACE_MS);
  let objects = 0;
  let bytes = 0;
  for (;;) {
    const batch = await take(found, SWEEP_MAX);
    if (batch.length === 0) return { objects, bytes };
    const swept = await sweep(
      ports,
      model,
      new Map(batch.map((entry) => [entry.key.slice(prefix.length), entry])),
    );
    if (!swept) return { objects, bytes };
    objects += swept.objects;
    bytes += swept.bytes;
  }
}

async function take<T>(from: AsyncGenerator<T>, most: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < most) {
    const next = await from.next();
    if (next.done) break;
    taken.push(next.value);
  }
  return taken;
}

/** Announces what may go, looks once more what is referred to, and removes the rest. */
async function sweep(
  ports: Ports,
  model: StoredModel,
  candidates: ReadonlyMap<string, BlobEntry>,
): Promise<Reclaimed | undefined> {
  const until = ports.clock.now() + SWEEP_MS;
  const number = await announceSweep(ports, model, [...candidates.keys()]);
  if (number === undefined) return undefined;
  try {
    const live = await liveDigests(ports, model);
    const dead = [...candidates].filter(([sha256]) => !live.has(sha256));
    const removed = await pMap(
      dead,
      async ([, { key, size }]) => {
        if (ports.clock.now() >= until) return undefined;
        await ports.blobs.delete(key);
        return size;
      },
      { concurrency: PARALLEL },
    );
    const sizes = removed.filter((size) => size !== undefined);
    return { objects: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
  } finally {
    await endSweep(ports, model, number);
  }
}

async function openUploads(ports: Ports, model: StoredModel): Promise<Upload[]> {
  const items = await Array.fromAsync(itemsOf(ports.table, modelChain(model.id), UPLOAD_PREFIX));
  return items.map(({ body }) => body as Upload).filter(isOpen);
}

/** The SHA-256 of all that is referred to. Uploads come first: one that ends meanwhile is a version when those are read. */
async function liveDigests(ports: Ports, model: StoredModel): Promise<Set<string>> {
  const chain = modelChain(model.id);
  const open = await openUploads(ports, model);
  const promised = await promisedObjects(ports, model);
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
  for (const { id } of open) {
    const expected = [...(await readPlan(ports, model, id)), ...(await readAdopted(ports, model, id))];
    for (const { sha256 } of expected) if (sha256 !== undefined) live.add(sha256);
  }
  for (const sha256 of promised) live.add(sha256);
  return live;
}
