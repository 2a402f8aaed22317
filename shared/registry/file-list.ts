import { createHash } from 'node:crypto';
import type { BlobStore } from '../ports/blob-store.ts';
import type { Item, NewItem, Table } from '../ports/table.ts';
import { fileListBlobKey } from '../storage/prefix.ts';
import { readAll } from '../storage/read-all.ts';
import type { FileMode } from './git/tree.ts';
import { fileListKey } from './keys.ts';

/** A file of a version. `oid` is its Git blob: the text itself, or the pointer that stands for larger files. */
export interface VersionFile {
  readonly path: string;
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
  readonly oid: string;
  readonly mode: FileMode;
}

/** Kept as rows, which take half the room of objects. */
type Row = [path: string, size: number, sha256: string, oid: string, mode: FileMode];
type FileListBody = { rows: Row[] } | { blob: string };

/** Longer lists go to the blob store; a list is never spread over a version's record. */
const INLINE_ROWS = 400;
const INLINE_BYTES = 120_000;

/** Makes the item that holds a list; a long one is stored in the blob store first. */
export async function fileListItem(
  blobs: BlobStore,
  model: { id: string; workspace: string },
  name: string,
  files: readonly VersionFile[],
): Promise<NewItem> {
  const rows = files.map((file): Row => [file.path, file.size, file.sha256, file.oid, file.mode]);
  const key = fileListKey(model.id, name);
  const inline: FileListBody = { rows };
  if (
    rows.length <= INLINE_ROWS &&
    rows.reduce((sum, row) => sum + row[0].length * 4 + 150, 0) <= INLINE_BYTES
  ) {
    return { ...key, body: inline };
  }
  const json = Buffer.from(JSON.stringify(rows));
  // Of its own: whoever tries for the same version's number, and loses, stores a list of that name too.
  const digest = createHash('sha256').update(json).digest('hex');
  const blob = fileListBlobKey(model.workspace, model.id, `${name}-${digest}`);
  await blobs.put(blob, json);
  const body: FileListBody = { blob };
  return { ...key, body };
}

/** Reads the list of that name; undefined if there is none. */
export async function readFileList(
  ports: { table: Table; blobs: BlobStore },
  modelId: string,
  name: string,
): Promise<VersionFile[] | undefined> {
  const item = (await ports.table.get(fileListKey(modelId, name))) as Item<FileListBody> | undefined;
  if (!item) return undefined;
  const rows =
    'rows' in item.body
      ? item.body.rows
      : (JSON.parse((await readAll(ports.blobs, item.body.blob)).toString()) as Row[]);
  return rows.map(([path, size, sha256, oid, mode]) => ({ path, size, sha256, oid, mode }));
}
