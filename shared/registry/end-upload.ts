import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { stagingKey } from '../storage/prefix.ts';
import { modelChain, UPLOAD_PREFIX, uploadKey, versionKey } from './keys.ts';
import { findModel, type StoredModel } from './model.ts';
import { type PlannedFile, readPlan } from './upload-plan.ts';
import { findUpload, isOpen, requireOpen, type Upload, type UploadRef } from './upload-record.ts';
import { LOST_AFTER, type VerifyLater } from './verify-work.ts';
import { changeOfVersion, findVersion, type Version } from './version.ts';

/** Gives the upload up: its version is FAILED and keeps its number, its parts go. */
export async function abortUpload(ports: Ports, caller: Caller, ref: UploadRef): Promise<void> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  requireOpen((await findUpload(ports, model, ref.upload)).body);
  const ended = await giveUp(ports, caller, model, ref.upload, 'upload.aborted', 'The upload was aborted.');
  if (!ended) requireOpen((await findUpload(ports, model, ref.upload)).body);
  await discardAfterwards(ports, model, ref.upload);
}

/**
 * Gives up a model's open uploads that are past their expiry; the controller's housekeeping.
 * @param verifyLater gets anew what is being verified and came no further for long, as when its order was lost
 */
export async function expireUploads(
  ports: Ports,
  caller: Caller,
  model: StoredModel,
  verifyLater?: VerifyLater,
): Promise<number> {
  let expired = 0;
  for await (const item of itemsOf(ports.table, modelChain(model.id), UPLOAD_PREFIX)) {
    const upload = item.body as Upload;
    if (!isOpen(upload)) continue;
    if (upload.expiresAt > ports.clock.now()) {
      const since = ports.clock.now() - (upload.verifyingAt ?? upload.createdAt);
      if (upload.state === 'VERIFYING' && since >= LOST_AFTER)
        await verifyLater?.({ workspace: model.workspace, name: model.name, upload: upload.id });
      continue;
    }
    const why = 'The upload was not completed in time.';
    if (!(await giveUp(ports, caller, model, upload.id, 'upload.expired', why))) continue;
    await discardAfterwards(ports, model, upload.id);
    expired++;
  }
  return expired;
}

/** Who verifies the upload just now would stage more: what it staged goes when it has stopped. */
async function discardAfterwards(ports: Ports, model: StoredModel, upload: string): Promise<void> {
  const plan = await readPlan(ports, model, upload);
  await exclusively(`upload/${upload}`, () => discardStaging(ports, model, upload, plan));
}

/** Ends an upload without a version, with the reason. @returns false if it had ended already */
export async function giveUp(
  ports: Ports,
  caller: Caller,
  model: StoredModel,
  uploadId: string,
  action: 'upload.failed' | 'upload.aborted' | 'upload.expired',
  failure: string,
): Promise<boolean> {
  return exclusively(modelChain(model.id), async () => {
    const { body: upload, rev: uploadRev } = await findUpload(ports, model, uploadId);
    if (!isOpen(upload)) return false;
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
    return true;
  });
}

/** Removes what an upload staged. */
export async function discardStaging(
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
