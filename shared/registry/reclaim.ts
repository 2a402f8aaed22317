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
  const old = garbage(ports.blobs, prefix, () => false, ports.clock.now() - GRACE_MS);
  const total = { objects: 0, bytes: 0 };
  for (;;) {
    // One walk through what refers to blobs looks for so many: they are what memory has to hold.
    const entries = await take(old, SWEEP_MAX);
    if (entries.length === 0) return total;
    const candidates = new Map(entries.map((entry) => [entry.key.slice(prefix.length), entry]));
    await strikeOut(ports, model, candidates);
    // What one sweep has no time for goes with the next.
    while (candidates.size > 0) {
      const swept = await sweep(ports, model, candidates);
      total.objects += swept.objects;
      total.bytes += swept.bytes;
      if (swept.objects === 0 && candidates.size > 0) return total;
    }
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

/** Announces what may go, looks once more what is referred to, and removes the rest. What it has removed is no candidate any more. */
async function sweep(
  ports: Ports,
  model: StoredModel,
  candidates: Map<string, BlobEntry>,
): Promise<Reclaimed> {
  const swept = { objects: 0, bytes: 0 };
  let until = ports.clock.now() + SWEEP_MS;
  const number = await announceSweep(ports, model, [...candidates.keys()]);
  if (number === undefined) return swept;
  try {
    await strikeOut(ports, model, candidates);
    await pMap(
      candidates,
      async ([sha256, { key, size }]) => {
        if (ports.clock.now() >= until) return;
        await ports.blobs.delete(key).catch((error) => {
          until = 0;
          throw error;
        });
        candidates.delete(sha256);
        swept.objects++;
        swept.bytes += size;
      },
      // Those that were begun before an error go on: a sweep has not ended while anything is still being removed.
      { concurrency: PARALLEL, stopOnError: false },
    );
    return swept;
  } finally {
    await endSweep(ports, model, number);
  }
}

async function openUploads(ports: Ports, model: StoredModel): Promise<Upload[]> {
  const items = await Array.fromAsync(itemsOf(ports.table, modelChain(model.id), UPLOAD_PREFIX));
  return items.map(({ body }) => body as Upload).filter(isOpen);
}

/**
 * Takes out of the candidates, by their SHA-256, all that is referred to. Uploads come first: one that ends meanwhile is a
 * version when those are read.
 */
async function strikeOut(ports: Ports, model: StoredModel, candidates: Map<string, unknown>): Promise<void> {
  const chain = modelChain(model.id);
  const open = await openUploads(ports, model);
  for (const sha256 of await promisedObjects(ports, model)) candidates.delete(sha256);
  const used = (await Array.fromAsync(itemsOf(ports.table, chain, USE_PREFIX))).map(({ sk }) => sk);
  const givenUp = new Set<string>();
  for await (const item of itemsOf(ports.table, chain, VERSION_PREFIX)) {
    const { number, deletedAt } = storedVersion(item);
    const deleted = deletedAt !== undefined && !used.some((sk) => sk.startsWith(usePrefix(number)));
    const files = await readFileList(ports, model.id, fileListName(number));
    for (const { sha256 } of files ?? []) {
      if (!deleted) candidates.delete(sha256);
      else if (candidates.has(sha256)) givenUp.add(sha256);
    }
  }
  for (const { id } of open) {
    const expected = [...(await readPlan(ports, model, id)), ...(await readAdopted(ports, model, id))];
    for (const { sha256 } of expected) if (sha256 !== undefined) candidates.delete(sha256);
  }
  const root = (await readRepository(ports.table, model.id)).body;
  if (!root.pushed || candidates.size === 0) return;
  // Deleting a version gives its bytes up, although its commit still names them; what a branch holds now stays.
  for await (const sha256 of pointersAtTips(ports, model, root)) candidates.delete(sha256);
  for await (const sha256 of pointersInHistory(ports, model, root))
    if (!givenUp.has(sha256)) candidates.delete(sha256);
}
