import { authorize } from '../../../shared/access/grant.ts';
import { listPage } from '../../../shared/ports/page.ts';
import { decideApproval } from '../../../shared/registry/approval.ts';
import { approvalHistoryPrefix, modelChain } from '../../../shared/registry/keys.ts';
import { findModelId } from '../../../shared/registry/model.ts';
import { type Approval, findVersion } from '../../../shared/registry/version.ts';
import { ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { pageJson } from '../page.ts';
import { answerVersion, approvalJson, versionRef } from '../versions/versions.handlers.ts';
import * as routes from './approvals.routes.ts';

export function registerApprovals(register: Register, { ports }: ApiDeps): void {
  register(routes.decideApproval, async ({ params, body, ifMatch }, { caller }) => {
    const ref = versionRef(params);
    const expected = ifMatch === '*' ? undefined : ifMatch;
    return answerVersion(ref, await decideApproval(ports, caller, ref, body, expected));
  });

  register(routes.listApprovals, async ({ params, query }, { caller }) => {
    const ref = versionRef(params);
    authorize(caller, 'viewer', ref);
    const id = await findModelId(ports.table, ref);
    await findVersion(ports.table, id, ref.number);
    const found = await ports.table.query({
      pk: modelChain(id),
      prefix: approvalHistoryPrefix(ref.number),
      after: query.cursor,
      reverse: true,
      limit: query.limit,
    });
    return ok(
      pageJson(
        listPage(found, (item) => item.body as Approval),
        approvalJson,
      ),
    );
  });
}
