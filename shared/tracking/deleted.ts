import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { type ListPage, listPage, type PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import type { Op, Table } from '../ports/table.ts';
import { getWorkspace } from '../registry/workspace.ts';
import { deletedKey, deletedPartition, paddedTime, runKey } from './keys.ts';
import type { Run } from './run.ts';
import { standingRun } from './standing.ts';

export const DELETED_KINDS = ['run', 'experiment', 'logged-model'] as const;
export type DeletedKind = (typeof DELETED_KINDS)[number];

/** What was deleted and can be purged, under the name that it had then. */
export interface Deleted {
  readonly kind: DeletedKind;
  readonly id: string;
  readonly name: string;
  /** The id of the experiment that it is in. */
  readonly experiment: string;
  /** Milliseconds since the epoch. */
  readonly deletedAt: number;
}

/** The operation that puts it among what was deleted, where `kind` and `id` name it. */
export const noteDeleted = (workspace: string, deleted: Deleted): Op => ({
  put: { ...deletedKey(workspace, deleted.deletedAt, deleted.kind, deleted.id), body: deleted },
  if: 'absent',
});

/** The operations that take it from there: it is restored, or gone. @param deletedAt absent for what is not there */
export const forgetDeleted = (
  workspace: string,
  kind: DeletedKind,
  id: string,
  deletedAt: number | undefined,
): Op[] =>
  deletedAt === undefined ? [] : [{ delete: deletedKey(workspace, deletedAt, kind, id), if: 'any' }];

/**
 * A page of the workspace's deleted runs, experiments and logged models, those that were deleted first first. The runs that were
 * deleted with their experiment are not told apart from it; one that came back with it is not there.
 */
export async function listDeleted(
  ports: Ports,
  caller: Caller,
  { workspace, before, ...page }: PageRequest & { workspace: string; before?: number | undefined },
): Promise<ListPage<Deleted>> {
  authorize(caller, 'viewer', { workspace });
  await getWorkspace(ports, workspace);
  const found = await ports.table.query({ pk: deletedPartition(workspace), ...page });
  const end = before === undefined ? -1 : found.items.findIndex(({ sk }) => sk >= paddedTime(before));
  const wanted = end < 0 ? found : { items: found.items.slice(0, end), more: false };
  const there = await Promise.all(
    wanted.items.map(({ body }) => isThere(ports.table, body as Deleted, before)),
  );
  const stays = new Set(wanted.items.filter((_, index) => there[index]));
  return listPage(wanted, (item) => (stays.has(item) ? (item.body as Deleted) : undefined));
}

/** A run may have come back with its experiment, or been deleted again with it, later. */
async function isThere(
  table: Table,
  { kind, id }: Deleted,
  before = Number.POSITIVE_INFINITY,
): Promise<boolean> {
  if (kind !== 'run') return true;
  const item = await table.get(runKey(id));
  if (!item) return false;
  const { lifecycle, deletedAt = 0 } = await standingRun(table, item.body as Run);
  return lifecycle === 'deleted' && deletedAt < before;
}
