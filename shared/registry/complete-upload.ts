import pMap from 'p-map';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { BlobError, type BlobStat, type PartStat } from '../ports/blob-store.ts';
import type { Ports } from '../ports/ports.ts';
import { digestUntil } from '../storage/checkpointed-digest.ts';
import { blobKey, stagingKey } from '../storage/prefix.ts';
import { checkDigest, checkSize, digest } from '../storage/verify.ts';
import { type BlobFile, commitVersion } from './commit-version.ts';
import { discardStaging, giveUp } from './end-upload.ts';
import { modelChain, uploadKey, versionKey } from './keys.ts';
import { findModel, type StoredModel } from './model.ts';
import { readRepository } from './repository.ts';
import { inspectStored, readTexts } from './stored-files.ts';
import { type PlannedFile, readPlan } from './upload-plan.ts';
import { findUpload, requireOpen, type Upload, type UploadRef } from './upload-record.ts';
import { changeOfVersion, findVersion, type StoredVersion, type Version } from './version.ts';

/** Requests to the store under way at once. */
const PARALLEL = 16;

/**
 * Verifies every file and turns the version READY, however long it takes; may be called again after an interruption.
 * @throws CairnError as {@link requestCompletion} and {@link verifyUpload}
 */
export async function completeUpload(ports: Ports, caller: Caller, ref: UploadRef): Promise<StoredVersion> {
  await requestCompletion(ports, caller, ref);
  for (;;) {
    const { version } = await verifyUpload(ports, caller, ref);
    if (version) return version;
  }
}

/**
 * Takes the order to verify an upload whose parts have all arrived. What verifies it may be somebody else.
 * @throws CairnError `UPLOAD_INCOMPLETE` naming what is missing; the upload stays open
 */
export async function requestCompletion(
  ports: Ports,
  caller: Caller,
  ref: UploadRef,
): Promise<StoredVersion> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  return exclusively(`upload/${ref.upload}`, async () => {
    const { body: upload, rev } = await findUpload(ports, model, ref.upload);
    if (upload.state !== 'COMPLETED') requireOpen(upload);
    if (upload.state === 'OPEN') {
      const plan = await readPlan(ports, model, upload.id);
      const arrived = ([index, file]: [number, PlannedFile]) =>
        requireArrived(ports, model, upload, index, file);
      await pMap(plan.entries(), arrived, { concurrency: PARALLEL });
      const verifying: Upload = { ...upload, state: 'VERIFYING' };
      await ports.table.transact([
        { put: { ...uploadKey(model.id, upload.id), body: verifying }, if: { rev } },
      ]);
    }
    return findVersion(ports.table, model.id, upload.version);
  });
}

/**
 * Verifies the files of an upload whose completion was requested, until all are or until `deadline` (milliseconds since
 * the epoch) has passed: then no version comes back, and the next call goes on where this one stopped.
 * @throws CairnError `DIGEST_MISMATCH`, `SIZE_MISMATCH` or `MODEL_FILE_INVALID`: the version is then FAILED
 */
export async function verifyUpload(
  ports: Ports,
  caller: Caller,
  ref: UploadRef,
  { deadline }: { deadline?: number } = {},
): Promise<{ version?: StoredVersion }> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  return exclusively(`upload/${ref.upload}`, async () => {
    const { body: upload } = await findUpload(ports, model, ref.upload);
    if (upload.state === 'COMPLETED')
      return { version: await findVersion(ports.table, model.id, upload.version) };
    requireOpen(upload);
    const plan = await readPlan(ports, model, upload.id);
    try {
      for (const [index, file] of plan.entries()) {
        if (!(await admitFile(ports, model, upload, index, file, deadline))) return {};
      }
      const files = await readTexts(ports.blobs, model, plan);
      const inspection = await inspectStored(ports.blobs, model, plan);
      const version = await turnReady(ports, caller, model, upload.id, files, inspection);
      await discardStaging(ports, model, upload.id, plan);
      return { version };
    } catch (error) {
      if (error instanceof CairnError && FATAL.has(error.code)) {
        await giveUp(ports, caller, model, upload.id, 'upload.failed', error.message);
        await discardStaging(ports, model, upload.id, plan);
      }
      throw error;
    }
  });
}

const FATAL = new Set(['DIGEST_MISMATCH', 'SIZE_MISMATCH', 'MODEL_FILE_INVALID']);

async function requireArrived(
  ports: Ports,
  model: StoredModel,
  upload: Upload,
  index: number,
  file: PlannedFile,
): Promise<void> {
  if (await ports.blobs.stat(blobKey(model.workspace, model.id, file.sha256))) return;
  const key = stagingKey(model.workspace, model.id, upload.id, index);
  if (await ports.blobs.stat(key)) return;
  const incomplete = (detail: string) => new CairnError('UPLOAD_INCOMPLETE', detail, 'files');
  if (file.multipart === undefined) throw incomplete(`"${file.path}" has not arrived.`);
  const missing = missingParts(file.parts, await ports.blobs.listParts(key, file.multipart));
  if (missing.length > 0) {
    throw incomplete(
      `"${file.path}" lacks part ${missing.slice(0, 10).join(', ')}${missing.length > 10 ? ' …' : ''}.`,
    );
  }
}

function missingParts(count: number, parts: readonly PartStat[]): number[] {
  const there = new Set(parts.map(({ number }) => number));
  return Array.from({ length: count }, (_, index) => index + 1).filter((number) => !there.has(number));
}

/**
 * Brings one file to its content address, wherever an earlier attempt stopped; the address never holds other bytes.
 * @returns false when the deadline passed first
 */
async function admitFile(
  ports: Ports,
  model: StoredModel,
  upload: Upload,
  index: number,
  file: PlannedFile,
  deadline: number | undefined,
): Promise<boolean> {
  const contentKey = blobKey(model.workspace, model.id, file.sha256);
  if (await ports.blobs.stat(contentKey)) return true;
  if (deadline !== undefined && ports.clock.now() >= deadline) return false;
  const key = stagingKey(model.workspace, model.id, upload.id, index);
  const stat = (await ports.blobs.stat(key)) ?? (await assemble(ports, key, file));
  checkSize(file, stat.size);
  const sha256 = stat.sha256 ?? (await hash(ports, model, upload, index, { key, etag: stat.etag }, deadline));
  if (sha256 === undefined) return false;
  checkDigest(file, sha256);
  try {
    // Its signed URL is still good: what was sent to it meanwhile was not verified.
    await ports.blobs.copy(key, contentKey, { etag: stat.etag });
  } catch (error) {
    if (!(error instanceof BlobError && error.code === 'NOT_FOUND')) throw error;
    throw new CairnError(
      'CONFLICT',
      `"${file.path}" was sent again or removed while it was verified.`,
      'files',
    );
  }
  return true;
}

async function assemble(ports: Ports, key: string, file: PlannedFile): Promise<BlobStat> {
  if (file.multipart === undefined)
    throw new CairnError('UPLOAD_INCOMPLETE', `"${file.path}" has not arrived.`, 'files');
  return ports.blobs.completeMultipart(key, file.multipart, await ports.blobs.listParts(key, file.multipart));
}

/** The staged object's SHA-256, or undefined when the deadline passed: the upload's record then tells how far it came. */
async function hash(
  ports: Ports,
  model: StoredModel,
  upload: Upload,
  index: number,
  { key, etag }: { key: string; etag: string },
  deadline: number | undefined,
): Promise<string | undefined> {
  if (deadline === undefined) return digest(ports.blobs, key);
  const { checked: before } = upload;
  const from = before?.file === index && before.etag === etag ? before.hashed : undefined;
  const result = await digestUntil(ports.blobs, key, () => ports.clock.now() >= deadline, from);
  if ('sha256' in result) return result.sha256;
  const { body, rev } = await findUpload(ports, model, upload.id);
  const checked: Upload = { ...body, checked: { file: index, etag, hashed: result.checkpoint } };
  await ports.table.transact([{ put: { ...uploadKey(model.id, upload.id), body: checked }, if: { rev } }]);
  return undefined;
}

async function turnReady(
  ports: Ports,
  caller: Caller,
  model: StoredModel,
  uploadId: string,
  files: readonly BlobFile[],
  inspection: Partial<Version>,
): Promise<StoredVersion> {
  return exclusively(modelChain(model.id), async () => {
    const { body: upload, rev: uploadRev } = await findUpload(ports, model, uploadId);
    const { rev, ...pending } = await findVersion(ports.table, model.id, upload.version);
    const root = await readRepository(ports.table, model.id);
    const now = ports.clock.now();
    const { number, author, message } = pending;
    const made = await commitVersion(ports, model, root, { number, author, message, at: now }, files);
    const version: Version = {
      ...pending,
      ...inspection,
      status: 'READY',
      commit: made.commit,
      readyAt: now,
    };
    requireOpen(upload);
    const { checked: _, ...record } = upload;
    const completed: Upload = { ...record, state: 'COMPLETED' };
    await commit(
      ports,
      caller,
      { ...changeOfVersion(model.id, { ...model, number }, 'version.created'), after: version },
      [
        { put: { ...versionKey(model.id, number), body: version }, if: { rev } },
        ...made.ops,
        { put: { ...uploadKey(model.id, uploadId), body: completed }, if: { rev: uploadRev } },
      ],
    );
    return { ...version, rev: rev + 1 };
  });
}
