import { systemCaller } from '../../shared/access/caller.ts';
import { parseAlarmName } from '../../shared/monitoring/endpoint-alarms.ts';
import type { AlarmNotification } from '../../shared/ports/alarm-service.ts';
import { type ReconcileDeps, reconcileEndpoint } from '../../shared/serving/reconcile.ts';

/**
 * An alarm's change of state: rolls the endpoint back when the alarm accuses what it serves, or lets a rollout go on that
 * an alarm held up. All traffic is on the old revision when this resolves, if that revision runs. The same notification
 * again does nothing; alarms of other names are left alone.
 */
export async function onAlarm(
  deps: ReconcileDeps,
  notification: AlarmNotification,
  requestId: string,
): Promise<{ next?: number }> {
  const alarm = parseAlarmName(notification.AlarmName);
  if (!alarm) return {};
  const { workspace, endpoint } = alarm;
  return reconcileEndpoint(deps, systemCaller('on-alarm', requestId), { workspace, endpoint }, notification);
}
