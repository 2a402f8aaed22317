import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { BlobError, type PartStat } from '../ports/blob-store.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item } from '../ports/table.ts';
import { partLength, planParts } from '../storage/part-plan.ts';
import { blobKey, stagingKey } from '../storage/prefix.ts';
import { admit } from '../storage/verify.ts';
import { type BlobFile, commitVersion } from './commit-version.ts';
import { checkPaths, newVersion, type VersionDraft } from './create-version.ts';
import { modelChain, repositoryKey, UPLOAD_PREFIX, uploadKey, versionKey } from './keys.ts';
import { findModel, type ModelRef, type StoredModel } from './model.ts';
import { readRepository } from './repository.ts';
import { inspectStored, readTexts } from './stored-files.ts';
import { type PlannedFile, planItem, readPlan } from './upload-plan.ts';
import { changeOfVersion, findVersion, type StoredVersion, type Version } from './version.ts';

/** Files on their way: a PENDING version whose bytes arrive part by part, for as long as it takes within the expiry. */
export interface Upload {
  readonly format: 1;
  readonly id: string;
  readonly version: number;
  readonly state: 'OPEN' | 'COMPLETED' | 'ABORTED';
  readonly createdAt: number;
  readonly createdBy: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** One file of an upload, and which of its parts arrived. */
export interface UploadFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly partSize: number;
  readonly parts: number;
  /** Nothing needs to be sent: the model has these bytes. */
  readonly done: boolean;
  /** Numbers of the parts that arrived whole. */
  readonly received: readonly number[];
}

export interface UploadRef extends ModelRef {
  readonly upload: string;
}

export interface SignedPart {
  readonly number: number;
  readonly size: number;
  readonly url: string;
}

/** An upload that nobody completes is given up after this. */
const LIFETIME_MS = 7 * 24 * 3600 * 1000;
/** Seconds that a part's URL is good for. */
const URL_LIFETIME = 3600;

/** Begins a version whose files are sent one by one; files that the model has already need not be sent. */
export async function createUpload(
  ports: Ports,
  caller: Caller,
  ref: ModelRef,
  draft: VersionDraft,
  files: readonly { path: string; size: number; sha256: string }[],
): Promise<{ upload: Upload; files: UploadFile[] }> {
  authorize(caller, 'contributor', ref);
  checkPaths(files.map(({ path }) => path));
  const model = await findModel(ports.table, ref);
  const id = uuidv7();
  const planned: PlannedFile[] = [];
  for (const [index, file] of files.entries()) planned.push(await planFile(ports, model, id, index, file));
  const plan = await planItem(ports.blobs, model, id, planned);
  const upload = await exclusively(modelChain(model.id), async () => {
    const root = await readRepository(ports.table, model.id);
    const number = root.body.nextNumber;
    const now = ports.clock.now();
    const record: Upload = {
      format: 1,
      id,
      version: number,
      state: 'OPEN',
      createdAt: now,
      createdBy: caller.principal,
      expiresAt: now + LIFETIME_MS,
    };
    const version = newVersion(caller, draft, number, now, files);
    await commit(
      ports,
      caller,
      { ...changeOfVersion(model.id, { ...ref, number }, 'upload.created'), after: record },
      [
        {
          put: { ...repositoryKey(model.id), body: { ...root.body, nextNumber: number + 1 } },
          if: { rev: root.rev },
        },
        { put: { ...versionKey(model.id, number), body: version }, if: 'absent' },
        { put: { ...uploadKey(model.id, id), body: record }, if: 'absent' },
        { put: plan, if: 'absent' },
      ],
    );
    return record;
  });
  return { upload, files: await describeFiles(ports, model, upload, planned) };
}

/** An upload and what has arrived of it: where to go on after an interruption. @throws CairnError `UPLOAD_NOT_FOUND` */
export async function getUpload(
  ports: Ports,
  caller: Caller,
  ref: UploadRef,
): Promise<{ upload: Upload; files: UploadFile[] }> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  const { body } = await findUpload(ports, model, ref.upload);
  return {
    upload: body,
    files: await describeFiles(ports, model, body, await readPlan(ports, model, ref.upload)),
  };
}

/** Signed URLs for parts `from` to `from + count - 1` of one file. */
export async function signParts(
  ports: Ports,
  caller: Caller,
  ref: UploadRef,
  wanted: { path: string; from: number; count: number },
): Promise<SignedPart[]> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  openOnly((await findUpload(ports, model, ref.upload)).body);
  const plan = await readPlan(ports, model, ref.upload);
  const index = plan.findIndex(({ path }) => path === wanted.path);
  const file = plan[index];
  if (!file) throw new CairnError('FILE_NOT_FOUND', `The upload has no file "${wanted.path}".`, 'path');
  if (wanted.from > file.parts) {
    throw new CairnError('INVALID_ARGUMENT', `"${wanted.path}" has ${file.parts} parts.`, 'from');
  }
  const key = stagingKey(model.workspace, model.id, ref.upload, index);
  const last = Math.min(file.parts, wanted.from + wanted.count - 1);
  return Promise.all(
    Array.from({ length: last - wanted.from + 1 }, async (_, offset): Promise<SignedPart> => {
      const number = wanted.from + offset;
      const size = partLength(file.size, file, number);
      const url =
        file.multipart === undefined
          ? await ports.blobs.presignPut(key, { expiresIn: URL_LIFETIME, size })
          : await ports.blobs.presignPart(key, file.multipart, { number, size, expiresIn: URL_LIFETIME });
      return { number, size, url };
    }),
  );
}

/**
 * Verifies every file and turns the version READY; may be called again after an interruption.
 * @throws CairnError `UPLOAD_INCOMPLETE` naming what is missing (the upload stays open); `DIGEST_MISMATCH`,
 * `SIZE_MISMATCH` or `MODEL_FILE_INVALID` (the version is then FAILED)
 */
export async function completeUpload(ports: Ports, caller: Caller, ref: UploadRef): Promise<StoredVersion> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  const { body: upload } = await findUpload(ports, model, ref.upload);
  if (upload.state === 'COMPLETED') return findVersion(ports.table, model.id, upload.version);
  openOnly(upload);
  return exclusively(`upload/${upload.id}`, async () => {
    const { body: current, rev } = await findUpload(ports, model, ref.upload);
    if (current.state === 'COMPLETED') return findVersion(ports.table, model.id, current.version);
    const plan = await readPlan(ports, model, upload.id);
    try {
      for (const [index, file] of plan.entries()) await admitFile(ports, model, upload, index, file);
      const files = await readTexts(ports.blobs, model, plan);
      const inspection = await inspectStored(ports.blobs, model, plan);
      const version = await turnReady(ports, caller, model, { ...current, rev }, files, inspection);
      await discardStaging(ports, model, upload.id, plan);
      return version;
    } catch (error) {
      if (error instanceof CairnError && FATAL.has(error.code)) {
        await giveUp(ports, caller, model, upload.id, 'upload.failed', error.message);
      }
      throw error;
    }
  });
}

const FATAL = new Set(['DIGEST_MISMATCH', 'SIZE_MISMATCH', 'MODEL_FILE_INVALID']);

/** Gives the upload up: its version is FAILED and keeps its number, its parts go. */
export async function abortUpload(ports: Ports, caller: Caller, ref: UploadRef): Promise<void> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  openOnly((await findUpload(ports, model, ref.upload)).body);
  await giveUp(ports, caller, model, ref.upload, 'upload.aborted', 'The upload was aborted.');
}

/** Gives up a model's open uploads that are past their expiry; the controller's housekeeping. */
export async function expireUploads(ports: Ports, caller: Caller, model: StoredModel): Promise<number> {
  let expired = 0;
  for await (const item of itemsOf(ports.table, modelChain(model.id), UPLOAD_PREFIX)) {
    const upload = item.body as Upload;
    if (upload.state !== 'OPEN' || upload.expiresAt > ports.clock.now()) continue;
    await giveUp(ports, caller, model, upload.id, 'upload.expired', 'The upload was not completed in time.');
    expired++;
  }
  return expired;
}

async function planFile(
  ports: Ports,
  model: StoredModel,
  upload: string,
  index: number,
  file: { path: string; size: number; sha256: string },
): Promise<PlannedFile> {
  const { path, size, sha256 } = file;
  const parts = planParts(size);
  if (await ports.blobs.stat(blobKey(model.workspace, model.id, sha256)))
    return { path, size, sha256, ...parts, done: true };
  if (parts.parts === 1) return { path, size, sha256, ...parts, done: false };
  const key = stagingKey(model.workspace, model.id, upload, index);
  const { uploadId } = await ports.blobs.createMultipart(key, { size, partSize: parts.partSize });
  return { path, size, sha256, ...parts, done: false, multipart: uploadId };
}

async function describeFiles(
  ports: Ports,
  model: StoredModel,
  upload: Upload,
  plan: readonly PlannedFile[],
): Promise<UploadFile[]> {
  const described: UploadFile[] = [];
  for (const [index, { multipart, ...file }] of plan.entries()) {
    const received =
      file.done || upload.state !== 'OPEN'
        ? []
        : await receivedParts(ports, stagingKey(model.workspace, model.id, upload.id, index), multipart);
    described.push({ ...file, received: received.map(({ number }) => number) });
  }
  return described;
}

async function receivedParts(ports: Ports, key: string, multipart: string | undefined): Promise<PartStat[]> {
  if (multipart !== undefined) {
    try {
      return await ports.blobs.listParts(key, multipart);
    } catch (error) {
      // Completed by an attempt that was interrupted later: the whole object stands there instead.
      if (!(error instanceof BlobError && error.code === 'NOT_FOUND')) throw error;
    }
  }
  const stat = await ports.blobs.stat(key);
  return stat ? [{ number: 1, etag: stat.etag, size: stat.size }] : [];
}

/** Brings one file to its content address, wherever an earlier attempt stopped. */
async function admitFile(
  ports: Ports,
  model: StoredModel,
  upload: Upload,
  index: number,
  file: PlannedFile,
): Promise<void> {
  const contentKey = blobKey(model.workspace, model.id, file.sha256);
  if (await ports.blobs.stat(contentKey)) return;
  const key = stagingKey(model.workspace, model.id, upload.id, index);
  const whole = await ports.blobs.stat(key);
  if (whole) return admit(ports.blobs, { key, stat: whole }, file, contentKey);
  const incomplete = (detail: string) => new CairnError('UPLOAD_INCOMPLETE', detail, 'files');
  if (file.multipart === undefined) throw incomplete(`"${file.path}" has not arrived.`);
  const parts = await ports.blobs.listParts(key, file.multipart);
  const missing = missingParts(file.parts, parts);
  if (missing.length > 0) {
    throw incomplete(
      `"${file.path}" lacks part ${missing.slice(0, 10).join(', ')}${missing.length > 10 ? ' …' : ''}.`,
    );
  }
  await admit(
    ports.blobs,
    { key, stat: await ports.blobs.completeMultipart(key, file.multipart, parts) },
    file,
    contentKey,
  );
}

function missingParts(count: number, parts: readonly PartStat[]): number[] {
  const there = new Set(parts.map(({ number }) => number));
  return Array.from({ length: count }, (_, index) => index + 1).filter((number) => !there.has(number));
}

async function turnReady(
  ports: Ports,
  caller: Caller,
  model: StoredModel,
  upload: Upload & { rev: number },
  files: readonly BlobFile[],
  inspection: Partial<Version>,
): Promise<StoredVersion> {
  return exclusively(modelChain(model.id), async () => {
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
    const { rev: uploadRev, ...record } = upload;
    const completed: Upload = { ...record, state: 'COMPLETED' };
    await commit(
      ports,
      caller,
      { ...changeOfVersion(model.id, { ...model, number }, 'version.created'), after: version },
      [
        { put: { ...versionKey(model.id, number), body: version }, if: { rev } },
        ...made.ops,
        { put: { ...uploadKey(model.id, upload.id), body: completed }, if: { rev: uploadRev } },
      ],
    );
    return { ...version, rev: rev + 1 };
  });
}

async function giveUp(
  ports: Ports,
  caller: Caller,
  model: StoredModel,
  uploadId: string,
  action: 'upload.failed' | 'upload.aborted' | 'upload.expired',
  failure: string,
): Promise<void> {
  const plan = await readPlan(ports, model, uploadId);
  await exclusively(modelChain(model.id), async () => {
    const { body: upload, rev: uploadRev } = await findUpload(ports, model, uploadId);
    if (upload.state !== 'OPEN') return;
    const { rev, ...pending } = await findVersion(ports.table, model.id, upload.version);
    const failed: Version = { ...pending, status: 'FAILED', failure };
    const aborted: Upload = { ...upload, state: 'ABORTED' };
    await commit(
      ports,
      caller,
      { ...changeOfVersion(model.id, { ...model, number: pending.number }, action), reason: failure },
      [
        { put: { ...versionKey(model.id, pending.number), body: failed }, if: { rev } },
        { put: { ...uploadKey(model.id, uploadId), body: aborted }, if: { rev: uploadRev } },
      ],
    );
  });
  await discardStaging(ports, model, uploadId, plan);
}

async function discardStaging(
  ports: Ports,
  model: StoredModel,
  upload: string,
  plan: readonly PlannedFile[],
): Promise<void> {
  for (const [index, file] of plan.entries()) {
    if (file.done) continue;
    const key = stagingKey(model.workspace, model.id, upload, index);
    if (file.multipart !== undefined) await ports.blobs.abortMultipart(key, file.multipart);
    await ports.blobs.delete(key);
  }
}

async function findUpload(
  ports: Pick<Ports, 'table'>,
  model: StoredModel,
  upload: string,
): Promise<Item<Upload>> {
  const item = await ports.table.get(uploadKey(model.id, upload));
  if (!item) throw new CairnError('UPLOAD_NOT_FOUND', `"${model.name}" has no upload "${upload}".`, 'upload');
  return item as Item<Upload>;
}

function openOnly(upload: Upload): void {
  if (upload.state !== 'OPEN')
    throw new CairnError('UPLOAD_NOT_FOUND', `The upload is ${upload.state}.`, 'upload');
}
