import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Op } from '../ports/table.ts';
import { modelPrefix } from '../storage/prefix.ts';
import {
  deletedModelKey,
  FOLLOWER_PREFIX,
  fileListsPartition,
  lfsVerificationsPartition,
  modelChain,
  modelEntryKey,
  modelKey,
  packsPartition,
  repositoryKey,
  USE_PREFIX,
} from './keys.ts';
import { type DeletedModel, findModel, type Model, type ModelRef, preconditionFailed } from './model.ts';
import { readRepository } from './repository.ts';

/** Models whose bytes are still to be removed. */
const PURGES = 'purges';

interface Purge {
  readonly id: string;
  readonly workspace: string;
}

/**
 * Deletes a model: its name is free at once, its audit chain stays, its bytes go with {@link purgeDeleted}.
 * @throws CairnError `VERSION_IN_USE` while an endpoint needs one of its versions or is to serve it
 */
export async function deleteModel(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  options: { ifMatch?: number; reason?: string } = {},
): Promise<void> {
  authorize(caller, 'admin', ref);
  const { id } = await findModel(ports.table, ref);
  await exclusively(modelChain(id), async () => {
    const { rev, ...before } = await findModel(ports.table, ref);
    if (options.ifMatch !== undefined && options.ifMatch !== rev) throw preconditionFailed(ref.name);
    // Read first: an endpoint that takes the model from here on writes it too, and this is begun again.
    const root = await readRepository(ports.table, id);
    const [use] = (await ports.table.query({ pk: modelChain(id), prefix: USE_PREFIX, limit: 1 })).items;
    if (use) {
      const [, number, , endpoint] = use.sk.split('/');
      throw new CairnError(
        'VERSION_IN_USE',
        `Endpoint "${endpoint}" needs version ${Number(number)}.`,
        'model',
      );
    }
    const [follower] = (await ports.table.query({ pk: modelChain(id), prefix: FOLLOWER_PREFIX, limit: 1 }))
      .items;
    if (follower) {
      const [, , endpoint] = follower.sk.split('/');
      throw new CairnError('VERSION_IN_USE', `Endpoint "${endpoint}" is to serve it.`, 'model');
    }
    const deleted: DeletedModel = { format: 1, deletedAt: ports.clock.now() };
    const sameName = await ports.table.get(deletedModelKey(ref.workspace, ref.name));
    const after: Model & { deletedAt: number } = { ...before, deletedAt: deleted.deletedAt };
    const purge: Purge = { id, workspace: ref.workspace };
    await commit(
      ports,
      caller,
      {
        chain: modelChain(id),
        workspace: ref.workspace,
        action: 'model.deleted',
        subject: ref.name,
        reason: options.reason,
        before,
      },
      [
        { delete: modelEntryKey(ref.workspace, ref.name), if: 'any' },
        {
          put: { ...deletedModelKey(ref.workspace, ref.name), body: deleted },
          if: sameName ? { rev: sameName.rev } : 'absent',
        },
        { put: { ...modelKey(id), body: after }, if: { rev } },
        // The root goes, so that no version can be committed any more.
        { delete: repositoryKey(id), if: { rev: root.rev } },
        { put: { pk: PURGES, sk: id, body: purge }, if: 'absent' },
      ],
    );
  });
}

/** The deleted models whose bytes are still there. */
export async function* deletedModels({ table }: Pick<Ports, 'table'>): AsyncGenerator<Purge> {
  for await (const { body } of itemsOf(table, PURGES)) yield body as Purge;
}

/** Removes the bytes, packs and records of a deleted model; what is interrupted goes on at the next call. @returns bytes reclaimed */
export async function purgeDeleted(ports: Ports, { id, workspace }: Purge): Promise<number> {
  const reclaimed = await deletePrefix(ports, modelPrefix(workspace, id));
  await deletePartition(ports, packsPartition(id));
  await deletePartition(ports, fileListsPartition(id));
  await deletePartition(ports, lfsVerificationsPartition(id));
  await ports.table.transact([{ delete: { pk: PURGES, sk: id }, if: 'any' }]);
  return reclaimed;
}

async function deletePrefix(ports: Ports, prefix: string): Promise<number> {
  let reclaimed = 0;
  for (;;) {
    const { objects } = await ports.blobs.list(prefix, { limit: 1000 });
    if (objects.length === 0) return reclaimed;
    for (const { key, size } of objects) {
      await ports.blobs.delete(key);
      reclaimed += size;
    }
  }
}

/** Deletes a partition's items. @returns false when `deadline` (milliseconds since the epoch) came first: some are left */
export async function deletePartition(
  { table, clock }: Pick<Ports, 'table' | 'clock'>,
  pk: string,
  deadline = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  for (;;) {
    const { items } = await table.query({ pk, limit: 100 });
    if (items.length === 0) return true;
    await table.transact(items.map((item): Op => ({ delete: { pk: item.pk, sk: item.sk }, if: 'any' })));
    if (clock.now() >= deadline) return false;
  }
}
