import { createHash } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { packBlobKey } from '../storage/prefix.ts';
import { readAll } from '../storage/read-all.ts';
import type { PackBody } from './commit-version.ts';
import { PACK_HEADER_LENGTH, type PackedObject, packHeader } from './git/pack.ts';
import { packsPartition, padded } from './keys.ts';
import { getModel, type ModelRef } from './model.ts';
import { readPackIndex } from './pack-file.ts';
import { listRefs } from './refs.ts';
import type { Repository } from './repository.ts';

/**
 * A model's repository as a Git bundle, which `git clone` takes as it is: all its refs but the aliases.
 * Streams pack after pack; memory grows with the number of objects, not with their bytes.
 * Source: Git's Documentation/gitformat-bundle, version 2.
 * @throws CairnError `VERSION_NOT_FOUND` while the model has no version
 */
export async function exportBundle(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
): Promise<AsyncIterable<Uint8Array>> {
  const model = await getModel(ports, caller, ref);
  const { refs, root } = await listRefs(ports, model);
  if (!root.body.main)
    throw new CairnError(
      'VERSION_NOT_FOUND',
      `"${ref.name}" has no version yet: there is nothing to clone.`,
      'model',
    );
  const lines = refs
    .filter(({ name }) => !name.startsWith('refs/aliases/'))
    .map(({ name, oid }) => `${oid} ${name}`);
  return bundle(ports, model, root.body, [`${root.body.main.commit} HEAD`, ...lines]);
}

interface Owner {
  readonly id: string;
  readonly workspace: string;
}

async function* bundle(
  ports: Ports,
  model: Owner,
  root: Repository,
  refs: readonly string[],
): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`# v2 git bundle\n${refs.join('\n')}\n\n`);
  const sha1 = createHash('sha1');
  const hashed = (bytes: Uint8Array) => {
    sha1.update(bytes);
    return bytes;
  };
  const seen = new Set<string>();
  for await (const { objects } of packsOf(ports, model, root)) for (const { oid } of objects) seen.add(oid);
  yield hashed(packHeader(seen.size));
  for await (const { objects, bytes } of packsOf(ports, model, root)) {
    const pack = await bytes();
    // The first pack that holds an object gives it; a set that shrinks also stops at packs younger than the count.
    for (const { oid, offset, length } of objects)
      if (seen.delete(oid)) yield hashed(pack.subarray(offset, offset + length));
  }
  yield sha1.digest();
}

interface StoredPack {
  readonly objects: readonly PackedObject[];
  readonly bytes: () => Promise<Uint8Array>;
}

async function* packsOf(
  ports: Ports,
  model: Owner,
  { consolidated }: Repository,
): AsyncGenerator<StoredPack> {
  const file = async (blob: string): Promise<StoredPack> => ({
    objects: [...(await readPackIndex(ports.blobs, blob)).objects()],
    bytes: () => readAll(ports.blobs, blob),
  });
  if (consolidated) yield file(packBlobKey(model.workspace, model.id, consolidated.name));
  const start = consolidated && padded(consolidated.upTo);
  for await (const item of itemsOf(ports.table, packsPartition(model.id), undefined, start)) {
    const { objects, blob } = item.body as PackBody;
    if (blob !== undefined) yield file(blob);
    else {
      const bytes = item.bytes ?? new Uint8Array(PACK_HEADER_LENGTH);
      yield { objects: objects ?? [], bytes: async () => bytes };
    }
  }
}
