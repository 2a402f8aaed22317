import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import { approvalHistoryKey, modelChain, versionKey } from './keys.ts';
import { findModelId, preconditionFailed } from './model.ts';
import {
  changeOfVersion,
  findVersion,
  type StoredVersion,
  type Version,
  type VersionRef,
} from './version.ts';

export interface Decision {
  readonly state: 'APPROVED' | 'REJECTED';
  readonly comment?: string | undefined;
}

/**
 * Approves or rejects a READY version, by compare-and-swap; earlier decisions stay in its history.
 * @throws CairnError `SELF_APPROVAL` for its author, `VERSION_NOT_READY`, `PRECONDITION_FAILED`
 */
export async function decideApproval(
  ports: Ports,
  caller: Caller,
  ref: VersionRef,
  decision: Decision,
  ifMatch?: number,
): Promise<StoredVersion> {
  authorize(caller, 'approver', ref);
  const id = await findModelId(ports.table, ref);
  return exclusively(modelChain(id), async () => {
    const { rev, ...before } = await findVersion(ports.table, id, ref.number);
    if (ifMatch !== undefined && ifMatch !== rev) throw preconditionFailed(`${ref.name}@${ref.number}`);
    if (before.status !== 'READY') {
      throw new CairnError('VERSION_NOT_READY', `Version ${ref.number} is ${before.status}.`, 'version');
    }
    if ((before.pushedBy ?? before.author) === caller.principal) {
      throw new CairnError('SELF_APPROVAL', `"${caller.principal}" made version ${ref.number}.`);
    }
    const after: Version = {
      ...before,
      approval: {
        state: decision.state,
        by: caller.principal,
        at: ports.clock.now(),
        seq: before.approval.seq + 1,
        ...(decision.comment === undefined ? {} : { comment: decision.comment }),
      },
    };
    await commit(
      ports,
      caller,
      {
        ...changeOfVersion(id, ref, decision.state === 'APPROVED' ? 'version.approved' : 'version.rejected'),
        reason: decision.comment,
        before: before.approval,
        after: after.approval,
      },
      [
        { put: { ...versionKey(id, ref.number), body: after }, if: { rev } },
        {
          put: { ...approvalHistoryKey(id, ref.number, after.approval.seq), body: after.approval },
          if: 'absent',
        },
      ],
    );
    return { ...after, rev: rev + 1 };
  });
}
