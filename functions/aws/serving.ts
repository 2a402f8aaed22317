import type { Logger } from 'pino';
import type { AlarmService } from '../../shared/ports/alarm-service.ts';
import type { DomainEvent, EventBus } from '../../shared/ports/event-bus.ts';
import type { RolloutPlatform } from '../../shared/ports/serving-platform.ts';
import { endpointsConcerned } from '../../shared/serving/followers.ts';
import { registeredVersions } from '../../shared/serving/registered-versions.ts';
import type { VersionSource } from '../../shared/serving/version-source.ts';
import { lazily } from './lazy-port.ts';
import type { AwsPorts } from './ports.ts';
import type { ServingSettings, Settings } from './settings.ts';

/** What endpoints stand on. `Platform` is the part of it that a function needs. */
export interface Serving<Platform = RolloutPlatform> {
  readonly platform: Platform;
  readonly alarms: AlarmService;
  readonly versions: VersionSource;
}

/** Endpoints on ECS with CloudWatch's alarms; undefined where the stack has no serving. */
export function openServing(settings: Settings, ports: AwsPorts): Serving | undefined {
  const { serving } = settings;
  if (!serving) return undefined;
  const platform = lazily(async () => (await import('./ecs.ts')).openPlatform(serving, ports.clock), {
    kind: 'rollout',
  });
  return { platform, ...openWatching(settings, ports) };
}

/** The same for who only shows endpoints: of the platform no more than what containers wrote. */
export function openShownServing(
  settings: Settings,
  ports: AwsPorts,
): (Serving<Pick<RolloutPlatform, 'logs'>> & { readonly settings: ServingSettings }) | undefined {
  const { serving } = settings;
  if (!serving) return undefined;
  const platform = lazily(async () =>
    (await import('./cloudwatch-logs.ts')).openLogs(serving.CAIRN_LOG_GROUP, ports.clock),
  );
  return { settings: serving, platform, ...openWatching(settings, ports) };
}

const openWatching = ({ CAIRN_ALARM_TOPIC }: Settings, ports: AwsPorts) => ({
  alarms: lazily(async () => (await import('./cloudwatch.ts')).openAlarms(CAIRN_ALARM_TOPIC)),
  versions: registeredVersions(ports),
});

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
