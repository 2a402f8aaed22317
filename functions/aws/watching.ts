import type { AlarmService } from '../../shared/ports/alarm-service.ts';
import { registeredVersions } from '../../shared/serving/registered-versions.ts';
import type { VersionSource } from '../../shared/serving/version-source.ts';
import { lazily } from './lazy-port.ts';
import type { AwsPorts } from './ports.ts';
import type { Settings } from './settings.ts';

/** What of serving is no platform. */
export interface Watching {
  readonly alarms: AlarmService;
  readonly versions: VersionSource;
}

const NO_PYTHON = 'deploy Cairn with -c cairn:pythonServerImage=build, or with an image of yours, to have it';

export const openWatching = ({ CAIRN_ALARM_TOPIC, serving }: Settings, ports: AwsPorts): Watching => ({
  alarms: lazily(async () => (await import('./cloudwatch.ts')).openAlarms(CAIRN_ALARM_TOPIC)),
  versions: registeredVersions(ports, {
    noPython: serving?.CAIRN_PYTHON_SERVER_IMAGE === undefined ? NO_PYTHON : undefined,
  }),
});
