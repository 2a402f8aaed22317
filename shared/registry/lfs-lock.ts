import { createHash } from 'node:crypto';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { type ListPage, listPage, type PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import { LOCK_PREFIX, lockKey, modelChain } from './keys.ts';
import { findModel, findModelId, type ModelRef } from './model.ts';

/** Somebody's word that she is at work on a file, which git-lfs respects. Source: git-lfs' docs/api/locking.md. */
export interface LfsLock {
  readonly format: 1;
  readonly id: string;
  readonly path: string;
  readonly owner: string;
  readonly lockedAt: number;
}

/** One lock a path: the path says its id. */
const idOf = (path: string) => createHash('sha256').update(path).digest('hex').slice(0, 32);

const isId = (id: string) => /^[0-9a-f]{32}$/.test(id);

/** @returns the lock, and whether it was made now or is somebody's already */
export async function lockPath(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  path: string,
): Promise<{ lock: LfsLock; made: boolean }> {
  authorize(caller, 'contributor', ref);
  const { id: modelId } = await findModel(ports.table, ref);
  const id = idOf(path);
  return exclusively(modelChain(modelId), async () => {
    const item = await ports.table.get(lockKey(modelId, id));
    if (item) return { lock: item.body as LfsLock, made: false };
    const lock: LfsLock = { format: 1, id, path, owner: caller.principal, lockedAt: ports.clock.now() };
    await commit(ports, caller, { ...changeOf(modelId, ref, 'lock.created'), after: lock }, [
      { put: { ...lockKey(modelId, id), body: lock }, if: 'absent' },
    ]);
    return { lock, made: true };
  });
}

/**
 * Takes a lock away: one's own, or with `force` anybody's, which needs the role "deployer".
 * @throws CairnError `FILE_NOT_FOUND`, `PERMISSION_DENIED`
 */
export async function unlock(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  id: string,
  force: boolean,
): Promise<LfsLock> {
  authorize(caller, 'contributor', ref);
  const { id: modelId } = await findModel(ports.table, ref);
  return exclusively(modelChain(modelId), async () => {
    const item = isId(id) ? await ports.table.get(lockKey(modelId, id)) : undefined;
    if (!item) throw new CairnError('FILE_NOT_FOUND', 'There is no such lock.', 'id');
    const lock = item.body as LfsLock;
    if (lock.owner !== caller.principal) {
      if (!force)
        throw new CairnError(
          'PERMISSION_DENIED',
          `"${lock.path}" is locked by ${lock.owner}; --force unlocks it.`,
        );
      authorize(caller, 'deployer', ref);
    }
    await commit(ports, caller, { ...changeOf(modelId, ref, 'lock.deleted'), before: lock }, [
      { delete: lockKey(modelId, id), if: { rev: item.rev } },
    ]);
    return lock;
  });
}

/** A page of a model's locks, in the order of their ids. */
export async function listLocks(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  ref: ModelRef,
  wanted: { readonly id?: string | undefined; readonly path?: string | undefined },
  page: PageRequest,
): Promise<ListPage<LfsLock>> {
  authorize(caller, 'viewer', ref);
  const modelId = await findModelId(ports.table, ref);
  const id = wanted.path === undefined ? wanted.id : idOf(wanted.path);
  if (id === undefined) {
    const found = await ports.table.query({ pk: modelChain(modelId), prefix: LOCK_PREFIX, ...page });
    return listPage(found, (item) => item.body as LfsLock);
  }
  const item = isId(id) ? await ports.table.get(lockKey(modelId, id)) : undefined;
  const lock = item?.body as LfsLock | undefined;
  return { items: lock && (wanted.id ?? lock.id) === lock.id ? [lock] : [] };
}

const changeOf = (modelId: string, ref: ModelRef, action: string) => ({
  chain: modelChain(modelId),
  workspace: ref.workspace,
  action,
  subject: ref.name,
});
