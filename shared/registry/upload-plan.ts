import type { BlobStore } from '../ports/blob-store.ts';
import type { Ports } from '../ports/ports.ts';
import type { NewItem } from '../ports/table.ts';
import type { PartPlan } from '../storage/part-plan.ts';
import { fileListBlobKey } from '../storage/prefix.ts';
import { readAll } from '../storage/read-all.ts';
import { fileListKey } from './keys.ts';
import type { StoredModel } from './model.ts';

/** A file that an upload expects. */
export interface PlannedFile extends PartPlan {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  /** Whether the model had these bytes when the upload began. */
  readonly done: boolean;
  /** The store's upload id, for a file of several parts. */
  readonly multipart?: string;
}

type PlanBody = { files: readonly PlannedFile[] } | { blob: string };

const INLINE_BYTES = 200_000;
const planName = (upload: string) => `upload-${upload}`;

/** Makes the item that holds what an upload expects; a long plan is stored in the blob store first. */
export async function planItem(
  blobs: BlobStore,
  model: StoredModel,
  upload: string,
  files: readonly PlannedFile[],
): Promise<NewItem> {
  const key = fileListKey(model.id, planName(upload));
  const json = Buffer.from(JSON.stringify(files));
  if (json.length <= INLINE_BYTES) return { ...key, body: { files } satisfies PlanBody };
  const blob = fileListBlobKey(model.workspace, model.id, planName(upload));
  await blobs.put(blob, json);
  return { ...key, body: { blob } satisfies PlanBody };
}

/** What the upload expects; nothing for one that never was. */
export async function readPlan(
  ports: Pick<Ports, 'table' | 'blobs'>,
  model: StoredModel,
  upload: string,
): Promise<readonly PlannedFile[]> {
  const body = (await ports.table.get(fileListKey(model.id, planName(upload))))?.body as PlanBody | undefined;
  if (!body) return [];
  return 'files' in body
    ? body.files
    : (JSON.parse((await readAll(ports.blobs, body.blob)).toString()) as PlannedFile[]);
}
