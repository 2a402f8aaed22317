import type { Logger } from 'pino';
import { parseAlarmName } from '../../shared/monitoring/endpoint-alarms.ts';
import { onAlarm } from '../on-alarm/handler.ts';
import { AlarmMessage, type Invocation, TopicEvent } from './events.ts';
import type { AwsPorts } from './ports.ts';
import type { Serving } from './serving.ts';

interface Deps extends AwsPorts {
  readonly serving: Serving;
  readonly logger: Pick<Logger, 'info'>;
}

/** Acts on alarms' changes of state. A failure comes again by Lambda's own retries, then goes to the dead letters. */
export function alarmHandler({ serving, logger, ...ports }: Deps) {
  return async (event: unknown, { awsRequestId: requestId }: Invocation): Promise<void> => {
    for (const { Sns } of TopicEvent.parse(event).Records) {
      const notification = AlarmMessage.parse(JSON.parse(Sns.Message));
      const { AlarmName: alarm, NewStateValue: state, NewStateReason: reason } = notification;
      const { next } = await onAlarm({ ...ports, ...serving }, notification, requestId);
      const ref = parseAlarmName(alarm);
      if (ref && next !== undefined) {
        const { workspace, endpoint } = ref;
        await ports.reconcileQueue.send({ endpoint: { workspace, endpoint } }, next - ports.clock.now());
      }
      logger.info({ requestId, alarm, state, reason, ours: ref !== undefined }, 'alarm');
    }
  };
}
