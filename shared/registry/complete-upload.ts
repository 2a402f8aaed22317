import pMap from 'p-map';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import { BlobError, type BlobStat, type PartStat } from '../ports/blob-store.ts';
import type { Ports } from '../ports/ports.ts';
import { admit, type Runs } from '../storage/admit.ts';
import { blobKey, stagingKey } from '../storage/prefix.ts';
import { checkSize } from '../storage/verify.ts';
import { type BlobFile, commitVersion } from './commit-version.ts';
import { discardStaging, giveUp } from './end-upload.ts';
import { modelChain, uploadKey, versionKey } from './keys.ts';
import { findModel, type StoredModel } from './model.ts';
import { readRepository } from './repository.ts';
import { inspectStored, readTexts, type StoredFile } from './stored-files.ts';
import { type Reliance, relyingOnBytes, requireKept } from './sweep.ts';
import { type AdoptedFile, keepDigest, type PlannedFile, readAdopted, readPlan } from './upload-plan.ts';
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
      const verifying: Upload = { ...upload, state: 'VERIFYING', verifyingAt: ports.clock.now() };
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
      return await relyingOnBytes(ports, model, async (since) => {
        const adopted = await admitAdopted(ports, model, upload, deadline);
        if (!adopted) return {};
        const stored = [...plan, ...adopted];
        const files = await readTexts(ports.blobs, model, stored);
        const inspection = await inspectStored(ports.blobs, model, stored);
        const version = await turnReady(ports, caller, model, upload.id, files, inspection, since);
        await discardStaging(ports, model, upload.id, plan);
        return { version };
      });
    } catch (error) {
      if (error instanceof CairnError && FATAL.has(error.code)) {
        await giveUp(ports, caller, model, upload.id, 'upload.failed', error.message);
        await discardStaging(ports, model, upload.id, plan);
      }
      throw error;
    }
  });
}

const FATAL = new Set<CairnError['code']>([
  'DIGEST_MISMATCH',
  'SIZE_MISMATCH',
  'MODEL_FILE_INVALID',
  'FILE_NOT_FOUND',
]);

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
  const { path, sha256 } = file;
  const candidate = { key, stat, path, sha256 };
  const runs = runsOf(ports, model, upload, index, deadline);
  return (await admit(ports.blobs, candidate, () => contentKey, runs)) !== undefined;
}

/**
 * Brings the files that the version takes from elsewhere to their content addresses, wherever an earlier attempt stopped.
 * @returns them with their digests, or undefined when the deadline passed first
 * @throws CairnError `FILE_NOT_FOUND` for one that was removed, or another one put in its place, before it was verified
 */
async function admitAdopted(
  ports: Ports,
  model: StoredModel,
  upload: Upload,
  deadline: number | undefined,
): Promise<StoredFile[] | undefined> {
  const files = await readAdopted(ports, model, upload.id);
  const addressOf = (sha256: string) => blobKey(model.workspace, model.id, sha256);
  const isOver = () => deadline !== undefined && ports.clock.now() >= deadline;
  const known = await pMap(
    files,
    async ({ path, size, from, sha256 }): Promise<StoredFile | undefined> => {
      if (sha256 === undefined || isOver()) return undefined;
      if (!(await ports.blobs.stat(addressOf(sha256))))
        await copyAdopted(ports, path, from, addressOf(sha256));
      return { path, size, sha256 };
    },
    { concurrency: PARALLEL },
  );
  const admitted: StoredFile[] = [];
  for (const [index, file] of files.entries()) {
    const done = known[index] ?? (isOver() ? undefined : await hashAdopted(file, index));
    if (!done) return undefined;
    admitted.push(done);
  }
  return admitted;

  async function hashAdopted({ path, size, from }: AdoptedFile, index: number) {
    const stat = await ports.blobs.stat(from);
    if (!stat) throw goneMeanwhile(path);
    const runs = runsOf(ports, model, upload, index, deadline);
    const sha256 = await admit(ports.blobs, { key: from, stat, path }, addressOf, runs);
    if (sha256 === undefined) return undefined;
    await keepDigest(ports.table, model, upload.id, index, sha256);
    return { path, size, sha256 };
  }
}

async function copyAdopted(ports: Ports, path: string, from: string, to: string): Promise<void> {
  try {
    await ports.blobs.copy(from, to);
  } catch (error) {
    throw error instanceof BlobError && error.code === 'NOT_FOUND' ? goneMeanwhile(path) : error;
  }
}

const goneMeanwhile = (path: string) =>
  new CairnError('FILE_NOT_FOUND', `"${path}" was removed or replaced before it was verified.`, 'files');

async function assemble(ports: Ports, key: string, file: PlannedFile): Promise<BlobStat> {
  if (file.multipart === undefined)
    throw new CairnError('UPLOAD_INCOMPLETE', `"${file.path}" has not arrived.`, 'files');
  return ports.blobs.completeMultipart(key, file.multipart, await ports.blobs.listParts(key, file.multipart));
}

/** With a deadline, the upload's record tells how far one of its files was hashed. */
function runsOf(
  ports: Ports,
  model: StoredModel,
  { id, checked }: Upload,
  file: number,
  deadline: number | undefined,
): Runs | undefined {
  if (deadline === undefined) return undefined;
  return {
    isOver: () => ports.clock.now() >= deadline,
    before: checked?.file === file ? checked : undefined,
    async keep(now) {
      const { body, rev } = await findUpload(ports, model, id);
      const kept: Upload = { ...body, checked: { ...now, file }, verifyingAt: ports.clock.now() };
      await ports.table.transact([{ put: { ...uploadKey(model.id, id), body: kept }, if: { rev } }]);
    },
  };
}

async function turnReady(
  ports: Ports,
  caller: Caller,
  model: StoredModel,
  uploadId: string,
  files: readonly BlobFile[],
  inspection: Partial<Version>,
  since: Reliance,
): Promise<StoredVersion> {
  return exclusively(modelChain(model.id), async () => {
    const { body: upload, rev: uploadRev } = await findUpload(ports, model, uploadId);
    const { rev, ...pending } = await findVersion(ports.table, model.id, upload.version);
    const root = await readRepository(ports.table, model.id);
    // Nothing kept those whose digest was not known before.
    const digests = files.map(({ sha256 }) => sha256);
    await requireKept(ports, model, root.body, since, digests);
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
