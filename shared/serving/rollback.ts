import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { commit, exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import type { EndpointRef } from '../ports/serving-platform.ts';
import { changeOf, findEndpoint } from './endpoint.ts';
import { endpointChain, ROLLOUT_PREFIX, rolloutKey, statusKey } from './keys.ts';
import { candidateOf, type Revision, wayBack } from './rollout.ts';
import type { RolloutRecord } from './rollout-record.ts';

/**
 * Asks for the endpoint's last good revision; the controller moves the traffic and its status tells when it has.
 * During a rollout that is the revision before it, otherwise the last one that finished its bake.
 * An alarm does not stand in the way. Asking again while it goes back changes nothing.
 * @throws CairnError `ENDPOINT_NOT_FOUND`, `NO_PREVIOUS_REVISION`
 */
export async function rollbackEndpoint(
  ports: Pick<Ports, 'table' | 'clock' | 'bus'>,
  caller: Caller,
  ref: EndpointRef,
  reason?: string,
): Promise<{ from: RevisionName; to: RevisionName }> {
  authorize(caller, 'deployer', { workspace: ref.workspace, name: ref.endpoint });
  return exclusively(endpointChain(ref), async () => {
    const { status, statusRev } = await findEndpoint(ports.table, ref);
    const { state } = status;
    if (state.motion.phase === 'rolling-back')
      return { from: nameOf(state.motion.bad), to: nameOf(state.motion.to) };
    const from = candidateOf(state) ?? state.current;
    const to = wayBack(state);
    if (!from || !to) {
      throw new CairnError(
        'NO_PREVIOUS_REVISION',
        `"${ref.endpoint}" has no earlier good revision to go back to.`,
      );
    }
    const going = { from: nameOf(from), to: nameOf(to) };
    if (state.requested) return going;
    const requested = {
      by: caller.principal,
      reason: reason?.trim() || 'Asked for, without a reason given.',
    };
    const change = changeOf(ref, 'endpoint.rollback-requested');
    await commit(
      ports,
      caller,
      { ...change, reason: requested.reason, before: going.from, after: going.to },
      [
        {
          put: { ...statusKey(ref), body: { ...status, state: { ...state, requested } } },
          if: { rev: statusRev },
        },
      ],
    );
    return going;
  });
}

export interface RevisionName {
  readonly revision: number;
  readonly version: number;
}

const nameOf = ({ revision, template }: Revision): RevisionName => ({ revision, version: template.version });

/** A page of the endpoint's rollouts and rollbacks, newest first; the first one may still be under way. */
export async function listRollouts(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  ref: EndpointRef,
  page: { after?: string | undefined; limit: number },
): Promise<{ items: RolloutRecord[]; next?: string }> {
  authorize(caller, 'viewer', { workspace: ref.workspace, name: ref.endpoint });
  await findEndpoint(ports.table, ref);
  const found = await ports.table.query({
    pk: endpointChain(ref),
    prefix: ROLLOUT_PREFIX,
    reverse: true,
    limit: page.limit,
    ...(page.after === undefined ? {} : { after: rolloutKey(ref, Number(page.after)).sk }),
  });
  const items = found.items.map((item) => item.body as RolloutRecord);
  const last = items.at(-1);
  return found.more && last ? { items, next: String(last.rollout) } : { items };
}
