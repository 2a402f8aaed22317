import type { Deleted } from '../../../shared/tracking/deleted.ts';
import { ok, type Register } from '../contract.ts';
import type { ApiDeps } from '../deps.ts';
import { pageJson } from '../page.ts';
import { rfc3339 } from '../time.ts';
import * as routes from './deleted.routes.ts';

/** Milliseconds that a request goes on removing: a function of AWS has 30 seconds. */
const BUDGET = 15_000;

/** Experiments, runs and logged models are loaded with the first request that is about those that are deleted. */
export function registerDeleted(register: Register, { ports }: ApiDeps): void {
  register(routes.listDeleted, async ({ params, query }, { caller }) => {
    const { listDeleted } = await import('../../../shared/tracking/deleted.ts');
    const { limit, cursor: after, deletedBefore: before } = query;
    return ok(pageJson(await listDeleted(ports, caller, { ...params, limit, after, before }), deletedJson));
  });

  register(routes.purgeDeleted, async ({ params, body }, { caller }) => {
    const { purge } = await import('../../../shared/tracking/purge.ts');
    const { dryRun, deletedBefore: before, reason } = body;
    const deadline = ports.clock.now() + BUDGET;
    const purged = await purge(ports, caller, params, { dryRun, before, reason, deadline });
    const { deleted, runs, loggedModels, files, bytes, complete } = purged;
    return ok({ ...deletedJson(deleted), dryRun, runs, loggedModels, files, bytes, complete });
  });
}

const deletedJson = ({ kind, id, name, experiment, deletedAt }: Deleted) => ({
  kind,
  id,
  name,
  experiment,
  deletedAt: rfc3339(deletedAt),
});
