import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CleanUpPart, cleanUp } from '../../../functions/reconcile/housekeeping.ts';
import type { Ports } from '../../../shared/ports/ports.ts';
import { deletedModels, deleteModel } from '../../../shared/registry/delete-model.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { GRACE_MS } from '../../../shared/storage/garbage.ts';
import { blobKey } from '../../../shared/storage/prefix.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const ada = someone('ada', 'admin');
const bytes = Buffer.from('nobody’s');
const sha256 = createHash('sha256').update(bytes).digest('hex');
const NAMES = ['a', 'b', 'c'];

let ports: LocalPorts;
/** Models, each with bytes that may go. */
let ids: Record<string, string>;
beforeEach(async () => {
  ports = await openLocalPorts();
  ids = {};
  for (const name of NAMES) {
    const { id } = await createModel(ports, ada, { workspace: 'default', name, description: '', tags: {} });
    await ports.blobs.put(blobKey('default', id, sha256), bytes);
    ids[name] = id;
  }
  ports.clock.advance(Date.now() - ports.clock.now() + 2 * GRACE_MS);
});
afterEach(() => ports.close());

/** The same ports, where a model's bytes cannot be removed. */
const faulty = (id: string | undefined): Ports => ({
  ...ports,
  blobs: {
    ...ports.blobs,
    delete: async (key) => {
      if (key.includes(`/${id}/`)) throw new Error('a fault');
      await ports.blobs.delete(key);
    },
  },
});

const withBytes = async () => {
  const stats = await Promise.all(
    NAMES.map(async (name) => ports.blobs.stat(blobKey('default', ids[name] ?? '', sha256))),
  );
  return NAMES.filter((_, index) => stats[index]);
};

test('a model that cannot be cleaned up is told of, keeps no other from it, and goes the next time', async () => {
  const told: CleanUpPart[] = [];
  const done = await cleanUp(faulty(ids.b), { onError: (_, part) => told.push(part) });
  expect(done).toEqual({ bytes: 2 * bytes.length, failed: 1 });
  expect(told).toEqual([{ part: 'model', workspace: 'default', model: 'b' }]);
  expect(await withBytes()).toEqual(['b']);
  const onError = (error: unknown) => {
    throw error;
  };
  expect(await cleanUp(ports, { onError })).toEqual({ bytes: bytes.length, failed: 0 });
  expect(await withBytes()).toEqual([]);
});

test('so does a deleted model whose bytes cannot be removed', async () => {
  for (const name of ['a', 'b']) await deleteModel(ports, ada, { workspace: 'default', name });
  const told: CleanUpPart[] = [];
  const done = await cleanUp(faulty(ids.a), { onError: (_, part) => told.push(part) });
  expect(done).toEqual({ bytes: 2 * bytes.length, failed: 1 });
  expect(told).toEqual([{ part: 'deleted model', workspace: 'default', model: ids.a }]);
  expect(await Array.fromAsync(deletedModels(ports))).toEqual([{ workspace: 'default', id: ids.a }]);
});
