import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, vi } from 'vitest';
import { onAlarm } from '../../../functions/on-alarm/handler.ts';
import { reconcile } from '../../../functions/reconcile/handler.ts';
import { startReconcileLoop } from '../../../functions/reconcile/loop.ts';
import type { Caller } from '../../../shared/access/caller.ts';
import { openAlarmEngine } from '../../../shared/adapters/local/alarm-engine.ts';
import { openKeyFile } from '../../../shared/adapters/local/key-file.ts';
import { openSqliteTable } from '../../../shared/adapters/local/sqlite-table.ts';
import { CairnError } from '../../../shared/errors.ts';
import type { DomainEvent } from '../../../shared/ports/event-bus.ts';
import { getEndpoint, type ServingPorts } from '../../../shared/serving/endpoint.ts';
import { endpointsConcerned } from '../../../shared/serving/followers.ts';
import type { ReconcileDeps } from '../../../shared/serving/reconcile.ts';
import type { EndpointStatus } from '../../../shared/serving/status.ts';
import type { DeployableVersion, VersionSource } from '../../../shared/serving/version-source.ts';
import { openPlatform } from '../adapters/local/process-platform-fixture.ts';

export const REF = { workspace: 'default', endpoint: 'digits' };
export const WAIT = { timeout: 60_000, interval: 10 };

export const ada: Caller = {
  principal: 'ada',
  grants: [{ role: 'deployer', workspace: '*', models: '*' }],
  requestId: 'test',
};
export const viewer: Caller = {
  ...ada,
  principal: 'vic',
  grants: [{ role: 'viewer', workspace: '*', models: '*' }],
};

type Stored = Omit<DeployableVersion, 'check'> & { kind: 'good' | 'broken' | 'text' };
const READY: Stored = { status: 'READY', approval: 'PENDING', kind: 'good' };

/**
 * The serving domain on a SQLite table, an alarm engine, processes and the gateway, with a clock that tests move and a
 * registry of one model, `digits`, whose versions tests add.
 */
export async function openServing(versions: Record<number, Partial<Stored>>) {
  const directory = await mkdtemp(join(tmpdir(), 'cairn-serving-'));
  const clock = { at: Date.UTC(2030, 0, 1), now: () => clock.at };
  const table = await openSqliteTable(join(directory, 'table.db'), clock);
  const events: DomainEvent[] = [];
  const aliases = new Map<string, number>();
  const stored = new Map(
    Object.entries(versions).map(([n, version]) => [Number(n), { ...READY, ...version }]),
  );
  let wake = (_: typeof REF) => {};
  const fixture = await openPlatform({ onChange: () => wake(REF) });

  const source: VersionSource = {
    async findModel(_, name) {
      if (name !== 'digits') throw new CairnError('MODEL_NOT_FOUND', `There is no model "${name}".`, 'model');
      return { id: 'm1', name };
    },
    async findVersion(_, number) {
      const version = stored.get(number);
      if (!version) throw new CairnError('VERSION_NOT_FOUND', `There is no version ${number}.`, 'version');
      return version;
    },
    async listFiles(_, __, number) {
      const kind = stored.get(number)?.kind ?? 'good';
      if (kind === 'text') return [{ path: 'README.md', size: 1, sha256: '0', key: 'x' }];
      return [...fixture.order(REF, 1, 1, kind).files];
    },
    resolveAlias: async (_, alias) => aliases.get(alias),
  };
  const bus = {
    async publish(event: DomainEvent) {
      events.push(event);
      for (const ref of await endpointsConcerned(table, event)) wake(ref);
    },
  };
  const failures: unknown[] = [];
  const alarms = await openAlarmEngine({
    clock,
    notify: async (notification) => {
      await onAlarm(deps, notification, 'alarm');
    },
    onError: (error) => failures.push(error),
  });
  const ports: ServingPorts = { table, clock, bus, alarms, versions: source };
  const keys = await openKeyFile(join(directory, 'keys.json'));
  const deps: ReconcileDeps = { ...ports, keys, alarms, platform: fixture.platform };
  const loop = startReconcileLoop({
    reconcile: (ref) => reconcile(deps, ref, 'loop'),
    clock,
    onError: (error) => failures.push(error),
  });
  wake = loop.wake;

  return {
    ...fixture,
    clock,
    table,
    alarms,
    ports,
    deps,
    events,
    aliases,
    versions: stored,
    failures,
    wake: () => loop.wake(REF),
    /** Moves the clock and lets the controller see it. */
    pass(seconds: number) {
      clock.at += seconds * 1000;
      loop.wake(REF);
    },
    status: async (): Promise<EndpointStatus> => (await getEndpoint(ports, ada, REF)).status,
    async until(expected: Partial<Record<keyof EndpointStatus, unknown>>) {
      await vi.waitFor(
        async () => expect((await getEndpoint(ports, ada, REF)).status).toMatchObject(expected),
        WAIT,
      );
    },
    /** Requests with that status, as the gateway would report them, in the ten seconds that then pass; alarms are evaluated. */
    async traffic(revision: number, status: number) {
      for (let i = 0; i < 20; i++) {
        alarms.record({ ...REF, revision, status, latencyMs: 5 });
      }
      clock.at += 10_000;
      await alarms.tick();
    },
    async close() {
      await loop.stop();
      await fixture.close();
      await alarms.stop();
      await table.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
