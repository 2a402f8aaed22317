import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { type ListPage, listPage, type PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import type { Op } from '../ports/table.ts';
import { getWorkspace } from '../registry/workspace.ts';
import { deletedKey, deletedPartition, paddedTime } from './keys.ts';

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

/** A page of the workspace's deleted runs, experiments and logged models, those that were deleted first first. */
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
  return listPage(wanted, ({ body }) => body as Deleted);
}
