import type { BlobStore } from '../ports/blob-store.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { ConditionFailed, type NewItem, type Table } from '../ports/table.ts';
import type { PartPlan } from '../storage/part-plan.ts';
import { fileListBlobKey } from '../storage/prefix.ts';
import { readAll } from '../storage/read-all.ts';
import { fileListKey, fileListsPartition } from './keys.ts';
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

/** A file of a version that is being made of what is in the blob store already, such as a run's artifacts. */
export interface AdoptedFile {
  readonly path: string;
  readonly size: number;
  /** Where its bytes are. */
  readonly from: string;
  /** Where they have been hashed. */
  readonly sha256?: string | undefined;
}

type Planned = PlannedFile | AdoptedFile;
type PlanBody = { files: readonly Planned[] } | { blob: string };

const INLINE_BYTES = 200_000;
const planName = (upload: string) => `upload-${upload}`;

/** Makes the item that holds what an upload expects; a long plan is stored in the blob store first. */
export async function planItem(
  blobs: BlobStore,
  model: StoredModel,
  upload: string,
  files: readonly Planned[],
): Promise<NewItem> {
  const key = fileListKey(model.id, planName(upload));
  const json = Buffer.from(JSON.stringify(files));
  if (json.length <= INLINE_BYTES) return { ...key, body: { files } satisfies PlanBody };
  const blob = fileListBlobKey(model.workspace, model.id, planName(upload));
  await blobs.put(blob, json);
  return { ...key, body: { blob } satisfies PlanBody };
}

/** The files that the upload expects to be sent; nothing for one that never was. */
export async function readPlan(
  ports: Pick<Ports, 'table' | 'blobs'>,
  model: StoredModel,
  upload: string,
): Promise<readonly PlannedFile[]> {
  return (await readWhole(ports, model, upload)).filter((file): file is PlannedFile => !('from' in file));
}

/** The files that the upload takes from elsewhere in the blob store, with the digests that were found meanwhile. */
export async function readAdopted(
  ports: Pick<Ports, 'table' | 'blobs'>,
  model: StoredModel,
  upload: string,
): Promise<readonly AdoptedFile[]> {
  const plan = await readWhole(ports, model, upload);
  const adopted = plan.filter((file): file is AdoptedFile => 'from' in file);
  if (adopted.every(({ sha256 }) => sha256 !== undefined)) return adopted;
  const digests = new Map<string, string>();
  const prefix = `${planName(upload)}/`;
  for await (const { sk, body } of itemsOf(ports.table, fileListsPartition(model.id), prefix))
    digests.set(sk.slice(prefix.length), (body as FoundDigest).sha256);
  return adopted.map((file, index) => ({ ...file, sha256: file.sha256 ?? digests.get(String(index)) }));
}

interface FoundDigest {
  readonly sha256: string;
}

/** Keeps the digest of an adopted file, so that no later run has to find it again. */
export async function keepDigest(
  table: Table,
  model: StoredModel,
  upload: string,
  file: number,
  sha256: string,
): Promise<void> {
  const body: FoundDigest = { sha256 };
  try {
    await table.transact([
      { put: { ...fileListKey(model.id, `${planName(upload)}/${file}`), body }, if: 'absent' },
    ]);
  } catch (error) {
    // Another run found it as well: nothing but that can be there.
    if (!(error instanceof ConditionFailed)) throw error;
  }
}

async function readWhole(
  ports: Pick<Ports, 'table' | 'blobs'>,
  model: StoredModel,
  upload: string,
): Promise<readonly Planned[]> {
  const body = (await ports.table.get(fileListKey(model.id, planName(upload))))?.body as PlanBody | undefined;
  if (!body) return [];
  return 'files' in body
    ? body.files
    : (JSON.parse((await readAll(ports.blobs, body.blob)).toString()) as Planned[]);
}
