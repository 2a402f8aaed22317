import { systemCaller } from '../../shared/access/caller.ts';
import type { EndpointRef } from '../../shared/ports/serving-platform.ts';
import { type ReconcileDeps, reconcileEndpoint } from '../../shared/serving/reconcile.ts';

/** Platform events and the timer bring an endpoint's rollout forward. @returns when to come again, if at all */
export function reconcile(
  deps: ReconcileDeps,
  ref: EndpointRef,
  requestId: string,
): Promise<{ next?: number }> {
  return reconcileEndpoint(deps, systemCaller('reconcile', requestId), ref);
}
