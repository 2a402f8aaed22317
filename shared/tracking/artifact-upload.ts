import pMap from 'p-map';
import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { CairnError } from '../errors.ts';
import { BlobError, type BlobStat, type PartStat } from '../ports/blob-store.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { ConditionFailed, type Item, type Table } from '../ports/table.ts';
import { PARTS_MAX } from '../storage/part-plan.ts';
import {
  type Artifact,
  type ArtifactOwner,
  artifactsPrefix,
  newArtifactKey,
  recordArtifact,
  refuseClash,
  requirePath,
} from './artifact.ts';
import { ARTIFACT_UPLOADS, artifactsPartition, artifactUploadKey } from './keys.ts';

/** A file that arrives in parts, straight in the store; nobody tells beforehand how long they are. */
interface ArtifactUpload {
  readonly format: 1;
  readonly id: string;
  readonly owner: ArtifactOwner;
  readonly path: string;
  /** Where the whole file will be: nobody else writes there, and when the parts are together nobody at all. */
  readonly key: string;
  /** The store's id of the upload. */
  readonly multipart: string;
  readonly parts: number;
  /** COMPLETED: the file is an artifact, and completing it again changes nothing. ABORTED: what it left is being removed. */
  readonly state: 'OPEN' | 'COMPLETED' | 'ABORTED';
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

const LIFETIME_MS = 24 * 3600 * 1000;
/** Requests to the store, and signatures, under way at once. */
const PARALLEL = 16;

/** @returns where each part is put, without a token: addresses of the store itself */
export async function createArtifactUpload(
  ports: Ports,
  caller: Caller,
  owner: ArtifactOwner,
  path: string,
  parts: number,
): Promise<{ id: string; urls: string[] }> {
  authorize(caller, 'contributor', owner);
  requirePath(path);
  if (parts < 1 || parts > PARTS_MAX)
    throw new CairnError('INVALID_ARGUMENT', `num_parts must be 1 to ${PARTS_MAX}.`, 'num_parts');
  await refuseClash(ports.table, artifactsPartition(owner.id), path);
  const key = newArtifactKey(owner);
  const { uploadId: multipart } = await ports.blobs.createMultipart(key, { parts });
  const id = uuidv7();
  const expiresAt = ports.clock.now() + LIFETIME_MS;
  const upload: ArtifactUpload = {
    format: 1,
    id,
    owner,
    path,
    key,
    multipart,
    parts,
    state: 'OPEN',
    expiresAt,
  };
  await ports.table.transact([{ put: { ...artifactUploadKey(id), body: upload }, if: 'absent' }]);
  const urls = await pMap(
    Array.from({ length: parts }, (_, index) => index + 1),
    (number) => ports.blobs.presignPart(key, multipart, { number, expiresIn: LIFETIME_MS / 1000 }),
    { concurrency: PARALLEL },
  );
  return { id, urls };
}

/** A part as its sender knows it: the store answered its `etag`. */
export interface SentPart {
  readonly number: number;
  readonly etag: string;
}

/**
 * Puts the parts together; what is then there is one file. May be done again after an interruption.
 * @param sent which parts were sent; without it, those that are there
 * @throws CairnError `UPLOAD_NOT_FOUND`, `UPLOAD_INCOMPLETE`, `SIZE_MISMATCH` for parts that the store finds too small
 */
export async function completeArtifactUpload(
  ports: Ports,
  caller: Caller,
  id: string,
  sent: readonly SentPart[] = [],
): Promise<void> {
  const { body: upload } = await findUpload(ports, id);
  const { owner, path, key, state } = upload;
  authorize(caller, 'contributor', owner);
  if (state === 'COMPLETED') return;
  const stat = await assembled(ports, upload, sent);
  try {
    await recordArtifact(ports, owner, path, key, stat, async () => {
      const { body, rev } = await findUpload(ports, id);
      // By another request that came at the same time; what has taken the file's place since then stays.
      if (body.state === 'COMPLETED') return undefined;
      const completed: ArtifactUpload = { ...body, state: 'COMPLETED' };
      return [{ put: { ...artifactUploadKey(id), body: completed }, if: { rev } }];
    });
  } catch (error) {
    // Another process was quicker, or the answer to the same transaction was lost and it was sent again.
    if (error instanceof ConditionFailed && (await findUpload(ports, id)).body.state === 'COMPLETED') return;
    if (error instanceof CairnError && error.code === 'UPLOAD_NOT_FOUND')
      await removeUnrecorded(ports, upload);
    throw error;
  }
}

/** Removes bytes that were put together while their upload was aborted. */
async function removeUnrecorded(ports: Ports, { owner, path, key }: ArtifactUpload): Promise<void> {
  const item = await ports.table.get({ pk: artifactsPartition(owner.id), sk: path });
  if ((item?.body as Artifact | undefined)?.key !== key) await ports.blobs.delete(key);
}

async function assembled(
  ports: Ports,
  { key, multipart }: ArtifactUpload,
  sent: readonly SentPart[],
): Promise<BlobStat> {
  try {
    const there = await ports.blobs.listParts(key, multipart);
    return await ports.blobs.completeMultipart(
      key,
      multipart,
      sent.length === 0 ? there : named(sent, there),
    );
  } catch (error) {
    if (!(error instanceof BlobError)) throw error;
    if (error.code === 'PART_MISSING')
      throw new CairnError('UPLOAD_INCOMPLETE', `Not all parts have arrived: ${error.message}.`, 'parts');
    if (error.code === 'SIZE_MISMATCH')
      throw new CairnError(
        'SIZE_MISMATCH',
        'A part but the last is under 5 MiB, which the storage does not take: set MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE to 5242880 or more.',
        'parts',
      );
    // Put together by an attempt that was interrupted before it could tell.
    const stat = error.code === 'NOT_FOUND' ? await ports.blobs.stat(key) : undefined;
    if (!stat) throw error;
    return stat;
  }
}

/** The parts that their sender names, as long as they are in the store. */
function named(sent: readonly SentPart[], there: readonly PartStat[]): PartStat[] {
  const sizes = new Map(there.map(({ number, size }) => [number, size]));
  return sent
    .map(({ number, etag }) => ({ number, etag: etag.replaceAll('"', ''), size: sizes.get(number) ?? 0 }))
    .sort((a, b) => a.number - b.number);
}

/** Gives the upload up; its parts go. Succeeds if there is none. */
export async function abortArtifactUpload(ports: Ports, caller: Caller, id: string): Promise<void> {
  const item = await ports.table.get(artifactUploadKey(id));
  if (!item) return;
  authorize(caller, 'contributor', (item.body as ArtifactUpload).owner);
  await discard(ports, item as Item<ArtifactUpload>);
}

/** Where the bytes of uploads go that may still be completed. */
export async function openUploadKeys(table: Table): Promise<ReadonlySet<string>> {
  const uploads = await Array.fromAsync(itemsOf(table, ARTIFACT_UPLOADS));
  return new Set(
    uploads
      .map(({ body }) => body as ArtifactUpload)
      .flatMap(({ state, key }) => (state === 'OPEN' ? [key] : [])),
  );
}

/** Removes the parts of uploads that nobody completed in time; the controller's housekeeping. */
export async function expireArtifactUploads(ports: Ports): Promise<void> {
  for await (const item of itemsOf(ports.table, ARTIFACT_UPLOADS)) {
    const { expiresAt, state } = item.body as ArtifactUpload;
    if (state === 'ABORTED' || expiresAt <= ports.clock.now())
      await discard(ports, item as Item<ArtifactUpload>);
  }
}

async function findUpload(ports: Ports, id: string): Promise<Item<ArtifactUpload>> {
  const item = await ports.table.get(artifactUploadKey(id));
  const state = (item?.body as Partial<ArtifactUpload> | undefined)?.state;
  if (!item || state === undefined || state === 'ABORTED')
    throw new CairnError('UPLOAD_NOT_FOUND', `There is no upload ${id}.`, 'upload_id');
  return item as Item<ArtifactUpload>;
}

/** Removes an upload's record, and its bytes unless they have become an artifact. */
async function discard(ports: Ports, { body: upload, rev }: Item<ArtifactUpload>): Promise<void> {
  const at = artifactUploadKey(upload.id);
  if ((upload as Partial<ArtifactUpload>).state === undefined) {
    // The first uploads had objects of their own for their parts.
    for (let part = 1; part <= upload.parts; part++)
      await ports.blobs.delete(`${artifactsPrefix(upload.owner)}uploads/${upload.id}/${part}`);
  } else if (upload.state !== 'COMPLETED') {
    const aborted: ArtifactUpload = { ...upload, state: 'ABORTED' };
    try {
      await ports.table.transact([{ put: { ...at, body: aborted }, if: { rev } }]);
    } catch (error) {
      // Completed just now: its bytes stay.
      if (error instanceof ConditionFailed) return;
      throw error;
    }
    await ports.blobs.abortMultipart(upload.key, upload.multipart);
    await ports.blobs.delete(upload.key);
  }
  await ports.table.transact([{ delete: at, if: 'any' }]);
}
