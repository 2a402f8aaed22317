import type { RolloutPlatform } from '../../shared/ports/serving-platform.ts';
import { lazily } from './lazy-port.ts';
import type { AwsPorts } from './ports.ts';
import type { Settings } from './settings.ts';
import { openWatching, type Watching } from './watching.ts';

/** What endpoints stand on. */
export interface Serving extends Watching {
  readonly platform: RolloutPlatform;
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
