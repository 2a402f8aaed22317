import type { Hono } from 'hono';
import type { Logger } from 'pino';
import { readAhead } from '../../shared/adapters/aws/read-ahead.ts';
import { workspaceKey } from '../../shared/registry/keys.ts';
import { DEFAULT_WORKSPACE } from '../../shared/registry/workspace.ts';
import { ON_ECS, ON_ECS_ROLLING } from '../../shared/serving/platform-offer.ts';
import { createApp } from '../api/app.ts';
import type { ApiEnv } from '../api/bind.ts';
import { openIssuer } from './issuer.ts';
import { NO_ALARMS } from './no-alarms.ts';
import type { AwsPorts } from './ports.ts';
import { publicSender } from './public-sender.ts';
import type { Settings } from './settings.ts';
import { openShownServing } from './shown-serving.ts';
import { VERSION } from './version.ts';
import { wakingBus } from './waking-bus.ts';

/** Bytes of a push: Lambda takes 6 MB of an event, in which the body is base64. */
const PUSH_MAX = 4_400_000;

/** The native API as a function runs it: what takes long is left to other functions. */
export function apiOf(settings: Settings, awsPorts: AwsPorts, logger: Logger): Hono<ApiEnv> {
  const { table, during } = readAhead(awsPorts.table);
  const ports: AwsPorts = { ...awsPorts, table };
  const serving = openShownServing(settings, ports);
  const offer = serving?.settings.CAIRN_ECS_INFRASTRUCTURE_ROLE === undefined ? ON_ECS_ROLLING : ON_ECS;
  return createApp({
    ports: serving ? { ...ports, bus: wakingBus(ports, logger) } : ports,
    webhooks: publicSender(),
    alarms: serving?.alarms ?? NO_ALARMS,
    issuer: openIssuer(settings, ports.clock, logger),
    ...(serving ? { serving: { ...serving, offer } } : {}),
    during,
    verifyLater: (work) => ports.verifyQueue.send(work),
    pushLimit: PUSH_MAX,
    logger,
    version: VERSION,
    publicUrl: settings.CAIRN_PUBLIC_URL,
    ready: async () => {
      if (!(await ports.table.get(workspaceKey(DEFAULT_WORKSPACE)))) {
        throw new Error('The table has no default workspace.');
      }
    },
    docs: async () => (await import('../api/docs-page.ts')).renderDocs,
  });
}
