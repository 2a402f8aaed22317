import type { Logger } from 'pino';
import type { DomainEvent, EventBus } from '../../shared/ports/event-bus.ts';
import { endpointsConcerned } from '../../shared/serving/followers.ts';
import type { AwsPorts } from './ports.ts';

/** A bus that also wakes the controller of the endpoints that an event concerns. */
export function wakingBus(ports: AwsPorts, logger: Pick<Logger, 'error'>): EventBus {
  const wake = async (event: DomainEvent) => {
    const refs = await endpointsConcerned(ports.table, event);
    await Promise.all(refs.map((endpoint) => ports.reconcileQueue.send({ endpoint })));
  };
  return {
    async publish(event) {
      await Promise.all([
        ports.bus.publish(event),
        // The change has happened: the timer comes to these endpoints when this message does not.
        wake(event).catch((err) => logger.error({ err, event: event.id }, 'cannot wake the controller')),
      ]);
    },
  };
}
