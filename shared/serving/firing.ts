import { parseAlarmName } from '../monitoring/endpoint-alarms.ts';
import type { AlarmDescription, AlarmNotification } from '../ports/alarm-service.ts';
import type { Firing } from './rollout.ts';

/** The alarms that are in ALARM, as the rollout machine sees them. */
export function firingOf(alarms: readonly AlarmDescription[]): Firing[] {
  return alarms
    .filter(({ state }) => state === 'ALARM')
    .map(({ name, stateUpdatedAt, stateReason, period, evaluationPeriods }) => {
      const revision = parseAlarmName(name)?.revision;
      return {
        name,
        ...(revision === undefined ? {} : { revision }),
        since: stateUpdatedAt,
        reason: stateReason,
        window: (evaluationPeriods + 1) * period * 1000,
      };
    });
}

/** The alarms as they were when the notification was sent: an alarm that is over again still tells of what happened. */
export function withNotification(
  alarms: readonly AlarmDescription[],
  { AlarmName, NewStateValue, NewStateReason, StateChangeTime }: AlarmNotification,
): AlarmDescription[] {
  return alarms.map((alarm) =>
    alarm.name === AlarmName && NewStateValue === 'ALARM' && alarm.state !== 'ALARM'
      ? {
          ...alarm,
          state: NewStateValue,
          stateReason: NewStateReason,
          stateUpdatedAt: Date.parse(StateChangeTime),
        }
      : alarm,
  );
}
