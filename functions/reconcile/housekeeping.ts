import { systemCaller } from '../../shared/access/caller.ts';
import { writeCheckpoint } from '../../shared/audit/checkpoint.ts';
import { CairnError } from '../../shared/errors.ts';
import { itemsOf } from '../../shared/ports/items-of.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { consolidate } from '../../shared/registry/consolidate.ts';
import { purgeDeleted } from '../../shared/registry/delete-model.ts';
import { expireUploads } from '../../shared/registry/end-upload.ts';
import { modelsPartition, WORKSPACES } from '../../shared/registry/keys.ts';
import { findModel, type ModelRef } from '../../shared/registry/model.ts';
import { reclaim } from '../../shared/registry/reclaim.ts';
import type { VerifyLater } from '../../shared/registry/verify-work.ts';
import { collectGarbage, GRACE_MS } from '../../shared/storage/garbage.ts';
import { arrivalsPrefix } from '../../shared/storage/prefix.ts';
import { expireArtifactUploads } from '../../shared/tracking/artifact-upload.ts';
import { finishPurges } from '../../shared/tracking/purge.ts';
import { reclaimArtifacts } from '../../shared/tracking/reclaim-artifacts.ts';

/** Signs where the audit chains of every workspace end now. */
export async function signCheckpoints(ports: Ports): Promise<void> {
  for await (const workspace of itemsOf(ports.table, WORKSPACES)) await writeCheckpoint(ports, workspace.sk);
}

/** The model that was cleaned up last; without one, the workspace whose artifacts are being looked at. */
export interface CleanUpCursor {
  readonly workspace: string;
  readonly model?: string | undefined;
}

/**
 * Gives up expired uploads and removes bytes that nothing refers to, those of runs and model by model, of one at least, until `deadline`
 * (milliseconds since the epoch): then `next` says where to go on.
 */
export async function cleanUp(
  ports: Ports,
  {
    after,
    deadline = Number.POSITIVE_INFINITY,
    verifyLater,
  }: {
    after?: CleanUpCursor | undefined;
    deadline?: number;
    /** Where verification is ordered: an order may be lost. */
    verifyLater?: VerifyLater;
  } = {},
): Promise<{ bytes: number; next?: CleanUpCursor }> {
  let bytes = 0;
  if (!after) {
    bytes = await purgeDeleted(ports);
    await expireArtifactUploads(ports);
    bytes += await finishPurges(ports, deadline);
  }
  let last: CleanUpCursor | undefined;
  for await (const { sk: workspace } of itemsOf(ports.table, WORKSPACES)) {
    if (after && workspace < after.workspace) continue;
    // What a registration left that broke off and never came again.
    const before = ports.clock.now() - GRACE_MS;
    bytes += (await collectGarbage(ports.blobs, arrivalsPrefix(workspace), () => false, before)).bytes;
    const from = workspace === after?.workspace ? after.model : undefined;
    if (from === undefined) {
      const artifacts = await reclaimArtifacts(ports, workspace, deadline);
      bytes += artifacts.bytes;
      if (artifacts.more) return { bytes, next: { workspace } };
    }
    for await (const { sk: name } of itemsOf(ports.table, modelsPartition(workspace), undefined, from)) {
      if (last && ports.clock.now() >= deadline) return { bytes, next: last };
      bytes += await cleanUpModel(ports, { workspace, name }, verifyLater);
      last = { workspace, model: name };
    }
  }
  return { bytes };
}

/** @returns the bytes that were reclaimed; none of a model that is deleted meanwhile, which goes as a whole the next time */
async function cleanUpModel(ports: Ports, ref: ModelRef, verifyLater?: VerifyLater): Promise<number> {
  try {
    const model = await findModel(ports.table, ref);
    await expireUploads(ports, systemCaller('housekeeping', 'housekeeping'), model, verifyLater);
    await consolidate(ports, model);
    return (await reclaim(ports, model)).bytes;
  } catch (error) {
    if (error instanceof CairnError && error.code === 'MODEL_NOT_FOUND') return 0;
    throw error;
  }
}
