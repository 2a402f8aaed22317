import { createHash } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Table } from '../ports/table.ts';
import { readAll } from '../storage/read-all.ts';
import type { PackBody } from './commit-version.ts';
import { PACK_HEADER_LENGTH, type PackedObject, packHeader } from './git/pack.ts';
import { modelChain, packsPartition, VERSION_PREFIX } from './keys.ts';
import { getModel, type ModelRef } from './model.ts';
import { readRepository } from './repository.ts';
import { storedVersion } from './version.ts';

/**
 * A model's repository as a Git bundle, which `git clone` takes as it is: `main`, `HEAD` and a tag for each version.
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
  const main = (await readRepository(ports.table, model.id)).body.main;
  if (!main)
    throw new CairnError(
      'VERSION_NOT_FOUND',
      `"${ref.name}" has no version yet: there is nothing to clone.`,
      'model',
    );
  const tags = await tagRefs(ports.table, model.id);
  const refs = [`${main.commit} HEAD`, `${main.commit} refs/heads/main`, ...tags];
  return bundle(ports, model.id, refs);
}

async function tagRefs(table: Table, modelId: string): Promise<string[]> {
  const refs: string[] = [];
  for await (const item of itemsOf(table, modelChain(modelId), VERSION_PREFIX)) {
    const { number, commit } = storedVersion(item);
    if (commit !== undefined) refs.push(`${commit} refs/tags/v${number}`);
  }
  return refs;
}

async function* bundle(ports: Ports, modelId: string, refs: readonly string[]): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`# v2 git bundle\n${refs.join('\n')}\n\n`);
  const sha1 = createHash('sha1');
  const hashed = (bytes: Uint8Array) => {
    sha1.update(bytes);
    return bytes;
  };
  const seen = new Set<string>();
  for await (const { objects } of packsOf(ports, modelId)) for (const { oid } of objects) seen.add(oid);
  yield hashed(packHeader(seen.size));
  for await (const { objects, bytes } of packsOf(ports, modelId)) {
    const pack = await bytes();
    // The first pack that holds an object gives it; a set that shrinks also stops at packs younger than the count.
    for (const { oid, offset, length } of objects)
      if (seen.delete(oid)) yield hashed(pack.subarray(offset, offset + length));
  }
  yield sha1.digest();
}

async function* packsOf(
  ports: Ports,
  modelId: string,
): AsyncGenerator<{ objects: readonly PackedObject[]; bytes: () => Promise<Uint8Array> }> {
  for await (const item of itemsOf(ports.table, packsPartition(modelId))) {
    const { objects, blob } = item.body as PackBody;
    if (blob === undefined) {
      const bytes = item.bytes ?? new Uint8Array(PACK_HEADER_LENGTH);
      yield { objects: objects ?? [], bytes: async () => bytes };
    } else {
      const index = JSON.parse(
        (await readAll(ports.blobs, `${blob}.objects.json`)).toString(),
      ) as PackedObject[];
      yield { objects: index, bytes: () => readAll(ports.blobs, blob) };
    }
  }
}
