import { uuidv7 } from 'uuidv7';
import { exclusively } from '../audit/commit.ts';
import type { Ports } from '../ports/ports.ts';
import type { Op } from '../ports/table.ts';
import { garbage } from '../storage/garbage.ts';
import { packBlobKey, packsBlobPrefix, refsBlobPrefix } from '../storage/prefix.ts';
import type { PackBody } from './commit-version.ts';
import type { ObjectDatabase } from './git/object-database.ts';
import { selectObjects } from './git/objects-to-send.ts';
import { PACK_HEADER_LENGTH, type PackedObject } from './git/pack.ts';
import { streamPack } from './git/send-pack.ts';
import { turns } from './git/turns.ts';
import { modelChain, packKey, packsPartition, repositoryKey } from './keys.ts';
import { storePackIndex } from './pack-file.ts';
import { listRefs } from './refs.ts';
import { lastPack, type Repository, readRepository } from './repository.ts';
import { openObjects } from './repository-objects.ts';

interface Owner {
  readonly id: string;
  readonly workspace: string;
}

/** A repository with fewer new packs is left as it is. */
export const PACKS_MIN = 64;
const PACKS_MAX = 1000;

/** New packs from which on it is done while a repository grows: each time writes all anew, so the larger it is, the rarer. */
export const whileGrowing = (taken: number): number => Math.max(PACKS_MIN, Math.min(PACKS_MAX, taken / 10));

/** Packs that were taken in stay so long, for whoever reads them still. */
const READERS_MS = 3600 * 1000;
const TIPS_MAX = 100;

/**
 * Puts what all refs lead to into one pack file, so that a repository of many small pushes is read as quickly as one
 * that was pushed at once; what no ref leads to goes. Meanwhile others read and write.
 * @param min new packs from which on it is done, where so many were taken in before
 * @returns whether it was done
 */
export async function consolidate(
  ports: Ports,
  model: Owner,
  min: (taken: number) => number = () => PACKS_MIN,
): Promise<boolean> {
  await removeOld(ports, model);
  const { refs, root } = await listRefs(ports, model);
  const upTo = lastPack(root.body);
  const { consolidated } = root.body;
  const taken = consolidated?.upTo ?? 0;
  if (upTo - taken < min(taken)) return false;
  const database = await openObjects(ports, model, root.body);
  const wants = [...new Set(refs.map(({ oid }) => oid))];
  const selected = await selectObjects(database, { wants, haves: [] });
  const name = uuidv7();
  const blob = packBlobKey(model.workspace, model.id, name);
  const objects: PackedObject[] = [];
  await ports.blobs.put(blob, placed(streamPack(database, selected, false), selected.objects, objects));
  await storePackIndex(ports.blobs, blob, objects);
  const tips = await tipsOf(database, wants);
  return exclusively(modelChain(model.id), async () => {
    const now = await readRepository(ports.table, model.id);
    if (now.body.consolidated?.name !== consolidated?.name) return false;
    const body: Repository = {
      ...now.body,
      consolidated: { upTo, name, at: ports.clock.now(), ...(tips.length <= TIPS_MAX && { tips }) },
    };
    await ports.table.transact([{ put: { ...repositoryKey(model.id), body }, if: { rev: now.rev } }]);
    return true;
  });
}

/** Passes a pack on, noting where each entry is: the first and the last piece are its header and its sum. */
async function* placed(
  pieces: AsyncIterable<Uint8Array>,
  oids: Iterable<string>,
  objects: PackedObject[],
): AsyncGenerator<Uint8Array> {
  const next = oids[Symbol.iterator]();
  let offset = 0;
  for await (const piece of pieces) {
    if (offset >= PACK_HEADER_LENGTH) {
      const oid = next.next();
      if (!oid.done) objects.push({ oid: oid.value, offset, length: piece.length });
    }
    offset += piece.length;
    yield piece;
  }
}

/** The commits that none of the others leads to, and the tags. */
async function tipsOf(database: ObjectDatabase, wants: readonly string[]): Promise<string[]> {
  const led = new Set<string>();
  const seen = new Set<string>();
  const turn = turns();
  for (const stack = [...wants]; stack.length > 0; ) {
    await turn();
    const oid = stack.pop() ?? '';
    if (seen.has(oid)) continue;
    seen.add(oid);
    const parents = (await database.commit(oid))?.parents ?? [];
    for (const parent of parents) led.add(parent);
    stack.push(...parents);
  }
  return wants.filter((oid) => !led.has(oid));
}

/** Removes what an earlier consolidation took in, and files that no root names any more. */
async function removeOld(ports: Ports, model: Owner): Promise<void> {
  const root = (await readRepository(ports.table, model.id)).body;
  const before = ports.clock.now() - READERS_MS;
  const { consolidated } = root;
  if (consolidated && consolidated.at < before) {
    for (;;) {
      const { items } = await ports.table.query({ pk: packsPartition(model.id), limit: 50 });
      const old = items.filter(({ sk }) => Number(sk) <= consolidated.upTo);
      if (old.length === 0) break;
      await ports.table.transact(old.map(({ pk, sk }): Op => ({ delete: { pk, sk }, if: 'any' })));
    }
  }
  const named = new Set<string>();
  if (consolidated) named.add(packBlobKey(model.workspace, model.id, consolidated.name));
  if (root.refs && 'blob' in root.refs) named.add(root.refs.blob);
  const { workspace, id } = model;
  let packs: ReadonlySet<string> | undefined;
  for (const prefix of [packsBlobPrefix(workspace, id), refsBlobPrefix(workspace, id)]) {
    for await (const { key } of garbage(ports.blobs, prefix, () => false, before - FILE_GRACE_MS)) {
      const blob = key.replace(/\.(index|objects\.json)$/, '');
      if (named.has(blob)) continue;
      packs ??= new Set(await packBlobs(ports, model));
      if (!packs.has(blob)) await ports.blobs.delete(key);
    }
  }
}

/** A push under way has stored its pack and not yet moved the root. */
const FILE_GRACE_MS = 24 * 3600 * 1000;

async function packBlobs(ports: Ports, model: Owner): Promise<string[]> {
  const blobs: string[] = [];
  const { body } = await readRepository(ports.table, model.id);
  for (let number = (body.consolidated?.upTo ?? 0) + 1; number <= lastPack(body); number += 100) {
    const keys = Array.from({ length: 100 }, (_, index) => packKey(model.id, number + index));
    for (const item of await ports.table.getMany(keys)) {
      const blob = (item?.body as PackBody | undefined)?.blob;
      if (blob !== undefined) blobs.push(blob);
    }
  }
  return blobs;
}
