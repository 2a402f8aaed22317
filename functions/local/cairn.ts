import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { getRequestListener } from '@hono/node-server';
import type { Logger } from 'pino';
import { uuidv7 } from 'uuidv7';
import type { IssuerTrust, TrustedIssuer } from '../../shared/access/issuer.ts';
import { ensureAdminToken } from '../../shared/access/token.ts';
import { openAlarmEngine } from '../../shared/adapters/local/alarm-engine.ts';
import { openDataDir } from '../../shared/adapters/local/data-dir.ts';
import { createGateway } from '../../shared/adapters/local/gateway.ts';
import { openInProcessBus } from '../../shared/adapters/local/in-process-bus.ts';
import { openKeyFile } from '../../shared/adapters/local/key-file.ts';
import { openProcessPlatform } from '../../shared/adapters/local/process-platform.ts';
import { openSqliteTable } from '../../shared/adapters/local/sqlite-table.ts';
import { systemClock } from '../../shared/adapters/local/system-clock.ts';
import { webhookSender } from '../../shared/adapters/webhook-sender.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { EndpointRef } from '../../shared/ports/serving-platform.ts';
import { ensureDefaultWorkspace } from '../../shared/registry/workspace.ts';
import { findEndpoint } from '../../shared/serving/endpoint.ts';
import { everyEndpoint } from '../../shared/serving/every-endpoint.ts';
import { endpointsConcerned } from '../../shared/serving/followers.ts';
import { registeredVersions } from '../../shared/serving/registered-versions.ts';
import { createApp } from '../api/app.ts';
import { problemOf } from '../api/problem.ts';
import { onAlarm } from '../on-alarm/handler.ts';
import { reconcile } from '../reconcile/handler.ts';
import { startReconcileLoop } from '../reconcile/loop.ts';
import { authoriseRequest } from './authorise-request.ts';
import { openBytes } from './bytes.ts';
import { dispatch } from './dispatch.ts';
import { startHousekeeping } from './housekeeping.ts';
import { watchIncoming } from './incoming.ts';
import { processMetrics } from './process-metrics.ts';
import { readiness } from './readiness.ts';
import type { Settings } from './settings.ts';
import { startVerification } from './verification.ts';
import { VERSION } from './version.ts';
import { startWebhooks } from './webhooks.ts';

export interface RunningCairn {
  readonly url: string;
  /** Made by this start, to be shown once. */
  readonly adminToken?: string | undefined;
  readonly incoming: string;
  close(): Promise<void>;
}

const PROJECT = resolve(import.meta.dirname, '../..');

/** Puts everything together in one process and listens. @throws Error with a sentence when it cannot start */
export async function startCairn(settings: Settings, logger: Logger): Promise<RunningCairn> {
  const clock = systemClock;
  const dataDir = await openDataDir(settings.dataDir);
  const keys = await openKeyFile(dataDir.keys);
  const table = await openSqliteTable(dataDir.table);
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 65_000 });
  let url = settings.publicUrl ?? '';
  const bytes = await openBytes(dataDir, settings.blobStore, {
    baseUrl: () => url,
    signingKey: keys.hmacKey('storage'),
    clock,
  });
  const bus = openInProcessBus((err, event) => logger.error({ err, event: event.id }, 'a listener failed'));
  const ports = { table, blobs: bytes.blobs, clock, keys, bus };
  await ensureDefaultWorkspace(ports);
  const adminToken = await ensureAdminToken(ports, settings.adminToken);

  const alarms = await openAlarmEngine({
    clock,
    path: join(dataDir.path, 'alarms.json'),
    notify: async (notification) => {
      await onAlarm(serving, notification, uuidv7());
    },
    onError: (err) => logger.error({ err }, 'alarms'),
  });
  const platform = await openProcessPlatform({
    directory: dataDir.run,
    clock,
    entry: join(PROJECT, 'functions/model-server/main.ts'),
    program: ['functions/model-server', 'shared', 'node_modules', 'package.json'].map((path) =>
      join(PROJECT, path),
    ),
    python: {
      directory: dataDir.python,
      entry: join(PROJECT, 'functions/python-server/main.py'),
      requirements: join(PROJECT, 'functions/python-server/requirements.txt'),
    },
    materialise: bytes.materialise,
    onChange: (ref) => loop.wake(ref),
  });
  const versions = registeredVersions(ports);
  const serving = { ...ports, platform, alarms, versions };
  const loop = startReconcileLoop({
    reconcile: (ref) => reconcile(serving, ref, uuidv7()),
    clock,
    onError: (err, ref) => logger.error({ err, ...ref }, 'cannot reconcile'),
  });
  const wakeAll = (refs: readonly EndpointRef[]) => refs.forEach(loop.wake);
  bus.subscribe((event) => {
    endpointsConcerned(table, event).then(wakeAll, (err) => logger.error({ err }, 'cannot find endpoints'));
  });

  const verification = bytes.isRemote ? startVerification(ports, logger) : undefined;
  const issuer = await openIssuer(settings.issuer, clock, logger);
  const sender = webhookSender({ inside: settings.webhooksInside });
  const app = createApp({
    ports,
    webhooks: sender,
    alarms,
    issuer,
    serving: { versions, platform },
    logger,
    version: VERSION,
    subscribe: bus.subscribe,
    ready: readiness(table, dataDir.path, bytes.ready),
    revision: table.revision,
    metrics: processMetrics(() => housekeeping.failures()),
    docs: async () => (await import('../api/docs-page.ts')).renderDocs,
    ...(verification && { verifyLater: verification.verifyLater }),
    ...(settings.publicUrl === undefined ? {} : { publicUrl: settings.publicUrl }),
    ...(settings.pushLimit === undefined ? {} : { pushLimit: settings.pushLimit }),
  });
  const gateway = createGateway({
    routes: (ref) => platform.routes(ref),
    authorise: authoriseRequest(ports, issuer),
    requireEndpoint: (ref) => findEndpoint(table, ref),
    record: (sample) => alarms.record(sample),
    problemOf,
    onError: (err, requestId) => logger.error({ err, requestId }, 'a request to an endpoint failed'),
  });
  server.on(
    'request',
    dispatch({ api: getRequestListener(app.fetch), storage: bytes.door, gateway, logger }),
  );
  await listen(server, settings);
  url ||= `http://${hostInUrl(settings.host)}:${(server.address() as AddressInfo).port}`;

  wakeAll(await everyEndpoint(table));
  for (const ref of await platform.list()) loop.wake(ref);
  alarms.start();
  const webhooks = await startWebhooks(ports, bus, sender, logger);
  const incoming = await watchIncoming(ports, dataDir.incoming, logger);
  const housekeeping = startHousekeeping(ports, logger, bus.subscribe, verification?.verifyLater);
  await verification?.resume();

  return {
    url,
    adminToken,
    incoming: dataDir.incoming,
    async close() {
      server.close();
      server.closeIdleConnections();
      await incoming.close();
      await webhooks.close();
      await verification?.close();
      await alarms.stop();
      await loop.stop();
      await platform.close();
      server.closeAllConnections();
      await housekeeping.close();
      await table.close();
      dataDir.release();
    },
  };
}

async function openIssuer(
  trust: IssuerTrust | undefined,
  clock: Clock,
  logger: Logger,
): Promise<TrustedIssuer | undefined> {
  if (!trust) return undefined;
  const { openOidcIssuer } = await import('../../shared/adapters/oidc-issuer.ts');
  const onFault = (err: Error) => logger.warn({ err }, 'the OpenID Connect issuer cannot be used');
  return { trust, verifier: openOidcIssuer({ trust, clock, onFault }) };
}

function listen(server: ReturnType<typeof createServer>, { host, port }: Settings): Promise<void> {
  return new Promise((done, failed) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE';
      failed(
        inUse
          ? new Error(`Port ${port} is in use. Set CAIRN_PORT to another one (0 takes a free one).`)
          : error,
      );
    });
    server.listen(port, host, done);
  });
}

const hostInUrl = (host: string) => {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
};
