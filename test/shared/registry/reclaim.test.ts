import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BlobError } from '../../../shared/ports/blob-store.ts';
import type { Ports } from '../../../shared/ports/ports.ts';
import { consolidate } from '../../../shared/registry/consolidate.ts';
import { createVersion } from '../../../shared/registry/create-version.ts';
import { VERSION_PREFIX } from '../../../shared/registry/keys.ts';
import { createModel, findModel, type StoredModel } from '../../../shared/registry/model.ts';
import { reclaim } from '../../../shared/registry/reclaim.ts';
import { readRepository } from '../../../shared/registry/repository.ts';
import { GRACE_MS } from '../../../shared/storage/garbage.ts';
import { blobKey, blobsPrefix, packBlobKey, packsBlobPrefix } from '../../../shared/storage/prefix.ts';
import { type LocalPorts, openLocalPorts, someone } from '../../support/local-ports.ts';

const ada = someone('ada', 'admin');
const ref = { workspace: 'default', name: 'digits' };
const bytes = Buffer.from('bytes');

let ports: LocalPorts;
let model: StoredModel;
beforeEach(async () => {
  ports = await openLocalPorts();
  await createModel(ports, ada, { ...ref, description: '', tags: {} });
  model = await findModel(ports.table, ref);
  const draft = { message: '', description: '', tags: {}, source: { via: 'api' as const } };
  await createVersion(ports, ada, ref, draft, [{ path: 'a.bin', bytes: Buffer.from('\0kept') }]);
});
afterEach(() => ports.close());

/** So many blobs that nothing refers to, old enough to go. */
async function abandon(count: number): Promise<void> {
  for (let n = 0; n < count; n++)
    await ports.blobs.put(
      blobKey('default', model.id, createHash('sha256').update(`${n}`).digest('hex')),
      bytes,
    );
  ports.clock.advance(Date.now() - ports.clock.now() + 2 * GRACE_MS);
}

const left = async () => (await ports.blobs.list(blobsPrefix('default', model.id))).objects.length;

/** The same ports, and how often the model's versions were walked through. */
function counted(): { ports: Ports; walks(): number } {
  let walks = 0;
  const table: Ports['table'] = {
    ...ports.table,
    query: (request) => {
      if (request.prefix === VERSION_PREFIX) walks++;
      return ports.table.query(request);
    },
  };
  return { ports: { ...ports, table }, walks: () => walks };
}

test('what refers to bytes is walked through twice, however many go, and once where none do', async () => {
  await abandon(2500);
  const first = counted();
  expect(await reclaim(first.ports, model)).toEqual({ objects: 2500, bytes: 2500 * bytes.length });
  expect(first.walks()).toBe(2);
  expect(await left()).toBe(1);
  const second = counted();
  expect(await reclaim(second.ports, model)).toEqual({ objects: 0, bytes: 0 });
  expect(second.walks()).toBe(1);
});

test('what a sweep has no time for goes with the next one', async () => {
  await abandon(100);
  let deleted = 0;
  const slow: Ports = {
    ...ports,
    blobs: {
      ...ports.blobs,
      delete: async (key) => {
        if (++deleted % 40 === 0) ports.clock.advance(30_000);
        await ports.blobs.delete(key);
      },
    },
  };
  expect((await reclaim(slow, model)).objects).toBe(100);
  expect((await readRepository(ports.table, model.id)).body.sweeps).toMatchObject({ last: 3, ended: 3 });
  expect(await left()).toBe(1);
});

test('a sweep that fails has not ended while anything is still being removed', async () => {
  await abandon(20);
  let calls = 0;
  let removing = 0;
  const failing: Ports = {
    ...ports,
    blobs: {
      ...ports.blobs,
      delete: async (key) => {
        const first = calls++ === 0;
        await setImmediate();
        if (first) throw new BlobError('NO_SPACE', key);
        removing++;
        for (let turn = 0; turn < 50; turn++) await setImmediate();
        await ports.blobs.delete(key);
        removing--;
      },
    },
    table: {
      ...ports.table,
      transact: (ops) => {
        expect(removing).toBe(0);
        return ports.table.transact(ops);
      },
    },
  };
  await expect(reclaim(failing, model)).rejects.toThrow(AggregateError);
  // Of those that were begun at the same time, all but the one that failed.
  expect([calls, await left()]).toEqual([16, 20 - 15 + 1]);
  expect((await readRepository(ports.table, model.id)).body.sweeps).toMatchObject({ last: 1, ended: 1 });
});

test('all pack files that no root names go, however many there are', async () => {
  const lost = Array.from({ length: 1100 }, (_, n) => packBlobKey('default', model.id, `lost-${n}`));
  for (const key of lost) await ports.blobs.put(key, bytes);
  await consolidate(ports, model, () => 1);
  ports.clock.advance(Date.now() - ports.clock.now() + 2 * GRACE_MS);
  await consolidate(ports, model);
  const { objects } = await ports.blobs.list(packsBlobPrefix('default', model.id));
  const { consolidated } = (await readRepository(ports.table, model.id)).body;
  const pack = packBlobKey('default', model.id, consolidated?.name ?? '');
  expect(objects.map(({ key }) => key).toSorted()).toEqual([pack, `${pack}.index`]);
});
