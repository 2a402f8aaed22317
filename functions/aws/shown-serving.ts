import type { RolloutPlatform } from '../../shared/ports/serving-platform.ts';
import { lazily } from './lazy-port.ts';
import type { AwsPorts } from './ports.ts';
import type { ServingSettings, Settings } from './settings.ts';
import { openWatching, type Watching } from './watching.ts';

interface ShownServing extends Watching {
  readonly platform: Pick<RolloutPlatform, 'logs'>;
  readonly settings: ServingSettings;
}

/**
 * What endpoints stand on for who only shows them: of the platform no more than what containers wrote. In a file of its own,
 * so that the API's bundle has nothing of ECS.
 */
export function openShownServing(settings: Settings, ports: AwsPorts): ShownServing | undefined {
  const { serving } = settings;
  if (!serving) return undefined;
  const platform = lazily(async () =>
    (await import('./cloudwatch-logs.ts')).openLogs(serving.CAIRN_LOG_GROUP, ports.clock),
  );
  return { settings: serving, platform, ...openWatching(settings, ports) };
}
