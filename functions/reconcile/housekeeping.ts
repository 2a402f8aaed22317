import { systemCaller } from '../../shared/access/caller.ts';
import { writeCheckpoint } from '../../shared/audit/checkpoint.ts';
import { CairnError } from '../../shared/errors.ts';
import { itemsOf } from '../../shared/ports/items-of.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { consolidate } from '../../shared/registry/consolidate.ts';
import { deletedModels, purgeDeleted } from '../../shared/registry/delete-model.ts';
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

/**
 * Signs where the audit chains of every workspace end now. A workspace that fails keeps no other from being signed.
 * @returns how many failed, of each of which `onError` was told
 */
export async function signCheckpoints(
  ports: Ports,
  onError: (error: unknown, workspace: string) => void,
): Promise<number> {
  let failed = 0;
  for await (const { sk: workspace } of itemsOf(ports.table, WORKSPACES)) {
    try {
      await writeCheckpoint(ports, workspace);
    } catch (error) {
      failed++;
      onError(error, workspace);
    }
  }
  return failed;
}

/** The model that was cleaned up last; without one, the workspace whose artifacts are being looked at. */
export interface CleanUpCursor {
  readonly workspace: string;
  readonly model?: string | undefined;
}

/** A part of a clean-up, as a log tells it: a model, a deleted one's id, what is common to a workspace or to all. */
export interface CleanUpPart {
  readonly workspace?: string;
  readonly model?: string;
  readonly part: 'model' | 'deleted model' | 'arrivals' | 'artifacts' | 'artifact uploads' | 'purges';
}

/**
 * Gives up expired uploads and removes bytes that nothing refers to, those of runs and model by model, of one at least, until
 * `deadline` (milliseconds since the epoch): then `next` says where to go on. A part that fails keeps no other from being cleaned up.
 * @returns bytes reclaimed, and how many parts failed, of each of which `onError` was told
 */
export async function cleanUp(
  ports: Ports,
  {
    after,
    deadline = Number.POSITIVE_INFINITY,
    verifyLater,
    onError,
  }: {
    after?: CleanUpCursor | undefined;
    deadline?: number;
    /** Where verification is ordered: an order may be lost. */
    verifyLater?: VerifyLater;
    onError: (error: unknown, part: CleanUpPart) => void;
  },
): Promise<{ bytes: number; failed: number; next?: CleanUpCursor }> {
  const done = { bytes: 0, failed: 0 };
  const attempt = async (part: CleanUpPart, work: () => Promise<number>) => {
    try {
      done.bytes += await work();
    } catch (error) {
      done.failed++;
      onError(error, part);
    }
  };
  if (!after) {
    for await (const deleted of deletedModels(ports)) {
      const { workspace, id: model } = deleted;
      await attempt({ part: 'deleted model', workspace, model }, () => purgeDeleted(ports, deleted));
    }
    await attempt({ part: 'artifact uploads' }, async () => {
      await expireArtifactUploads(ports);
      return 0;
    });
    await attempt({ part: 'purges' }, () => finishPurges(ports, deadline));
  }
  let last: CleanUpCursor | undefined;
  for await (const { sk: workspace } of itemsOf(ports.table, WORKSPACES)) {
    if (after && workspace < after.workspace) continue;
    // What a registration left that broke off and never came again.
    const before = ports.clock.now() - GRACE_MS;
    await attempt(
      { part: 'arrivals', workspace },
      async () => (await collectGarbage(ports.blobs, arrivalsPrefix(workspace), () => false, before)).bytes,
    );
    const from = workspace === after?.workspace ? after.model : undefined;
    if (from === undefined) {
      let more = false;
      await attempt({ part: 'artifacts', workspace }, async () => {
        const artifacts = await reclaimArtifacts(ports, workspace, deadline);
        more = artifacts.more;
        return artifacts.bytes;
      });
      if (more) return { ...done, next: { workspace } };
    }
    for await (const { sk: name } of itemsOf(ports.table, modelsPartition(workspace), undefined, from)) {
      if (last && ports.clock.now() >= deadline) return { ...done, next: last };
      await attempt({ part: 'model', workspace, model: name }, () =>
        cleanUpModel(ports, { workspace, name }, verifyLater),
      );
      last = { workspace, model: name };
    }
  }
  return done;
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
