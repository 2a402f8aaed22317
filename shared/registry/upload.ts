import pMap from 'p-map';
import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { BlobError, type PartStat } from '../ports/blob-store.ts';
import type { Ports } from '../ports/ports.ts';
import { partLength, planParts } from '../storage/part-plan.ts';
import { blobKey, stagingKey } from '../storage/prefix.ts';
import { checkPaths, fromRun, newVersion, type VersionDraft } from './create-version.ts';
import { modelChain, repositoryKey, uploadKey, versionKey } from './keys.ts';
import { findModel, type ModelRef, type StoredModel } from './model.ts';
import { readRepository } from './repository.ts';
import { type Reliance, relyingOnBytes, requireKept } from './sweep.ts';
import { type AdoptedFile, type PlannedFile, planItem, readPlan } from './upload-plan.ts';
import { findUpload, isOpen, requireOpen, type Upload, type UploadRef } from './upload-record.ts';
import { changeOfVersion } from './version.ts';

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

export interface SignedPart {
  readonly number: number;
  readonly size: number;
  readonly url: string;
}

/** An upload that nobody completes is given up after this. */
const LIFETIME_MS = 7 * 24 * 3600 * 1000;
/** Seconds that a part's URL is good for. */
const URL_LIFETIME = 3600;

/** Requests to the store under way at once. */
const PARALLEL = 16;

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
  return relyingOnBytes(ports, model, async (since) => {
    const id = uuidv7();
    const planned = await pMap(files.entries(), ([index, file]) => planFile(ports, model, id, index, file), {
      concurrency: PARALLEL,
    });
    const upload = await beginUpload(
      ports,
      caller,
      model,
      draft,
      { id, state: 'OPEN', files: planned },
      since,
    );
    return { upload, files: await describeFiles(ports, model, upload, planned) };
  });
}

/** Writes what an upload expects, its record and its version's, which is PENDING. */
export async function beginUpload(
  ports: Ports,
  caller: Caller,
  model: StoredModel,
  draft: VersionDraft,
  {
    id,
    state,
    files,
  }: Pick<Upload, 'id' | 'state'> & { readonly files: readonly (PlannedFile | AdoptedFile)[] },
  since: Reliance,
): Promise<Upload> {
  const plan = await planItem(ports.blobs, model, id, files);
  return exclusively(modelChain(model.id), async () => {
    const root = await readRepository(ports.table, model.id);
    // From here on the plan keeps them.
    const digests = files.flatMap(({ sha256 = [] }) => sha256);
    await requireKept(ports, model, root.body, since, digests);
    const number = root.body.nextNumber;
    const now = ports.clock.now();
    const record: Upload = {
      format: 1,
      id,
      version: number,
      state,
      ...(state === 'VERIFYING' ? { verifyingAt: now } : {}),
      createdAt: now,
      createdBy: caller.principal,
      expiresAt: now + LIFETIME_MS,
    };
    const version = newVersion(caller, draft, number, now, files);
    await commit(
      ports,
      caller,
      { ...changeOfVersion(model.id, { ...model, number }, 'upload.created'), after: record },
      [
        {
          put: { ...repositoryKey(model.id), body: { ...root.body, nextNumber: number + 1 } },
          if: { rev: root.rev },
        },
        { put: { ...versionKey(model.id, number), body: version }, if: 'absent' },
        ...fromRun(model.workspace, model.id, number, draft.source),
        { put: { ...uploadKey(model.id, id), body: record }, if: 'absent' },
        { put: plan, if: 'absent' },
      ],
    );
    return record;
  });
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
  requireOpen((await findUpload(ports, model, ref.upload)).body);
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
  const describe = async ([index, { multipart, ...file }]: [number, PlannedFile]): Promise<UploadFile> => {
    const key = stagingKey(model.workspace, model.id, upload.id, index);
    const received = file.done || !isOpen(upload) ? [] : await receivedParts(ports, key, multipart);
    return { ...file, received: received.map(({ number }) => number) };
  };
  return pMap(plan.entries(), describe, { concurrency: PARALLEL });
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
