import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AlarmDescription, AlarmService } from '../../../shared/ports/alarm-service.ts';
import type { RolloutObservation, RolloutPlatform } from '../../../shared/ports/serving-platform.ts';
import { createVersion } from '../../../shared/registry/create-version.ts';
import { createModel } from '../../../shared/registry/model.ts';
import { createEndpoint } from '../../../shared/serving/endpoint.ts';
import { ON_ECS } from '../../../shared/serving/platform-offer.ts';
import { registeredVersions } from '../../../shared/serving/registered-versions.ts';
import { someone } from '../../support/local-ports.ts';
import type { FunctionPorts } from './aws-fixture.ts';

const DIGITS = join(import.meta.dirname, '../../models/digits');
export const REF = { workspace: 'default', endpoint: 'digits' };
const ada = someone('ada', 'admin');

/** Serving whose platform does at once what it is told, and that tells each call of it and of its alarms. */
export function openRecordedServing(ports: FunctionPorts) {
  const calls: string[] = [];
  const alarms = new Map<string, AlarmDescription>();
  let seen: RolloutObservation = { revisions: [], weights: {} };
  const platform: RolloutPlatform = {
    kind: 'rollout',
    async rollOut({ revision, replicas }) {
      seen = {
        revisions: [{ revision, desired: replicas.min, ready: replicas.min, failures: 0 }],
        weights: { [revision]: 100 },
        replicas,
        rollout: { revision, phase: 'succeeded' },
      };
    },
    rollBack: async () => {},
    scale: async () => {},
    observe: async () => seen,
    withdraw: async () => {
      seen = { revisions: [], weights: {} };
    },
    logs: async () => [],
    list: async () => [REF],
  };
  const service: Pick<AlarmService, 'putAlarm' | 'deleteAlarms' | 'describeAlarms'> = {
    putAlarm: async (alarm) => {
      const stateUpdatedAt = ports.clock.now();
      alarms.set(alarm.name, { ...alarm, state: 'OK', stateReason: '', stateUpdatedAt });
    },
    deleteAlarms: async (names) => {
      for (const name of names) alarms.delete(name);
    },
    describeAlarms: async (prefix) => [...alarms.values()].filter(({ name }) => name.startsWith(prefix)),
  };
  const versions = registeredVersions(ports);
  return {
    calls,
    alarms,
    serving: {
      platform: recorded(platform, calls),
      alarms: recorded(service, calls) as AlarmService,
      versions,
    },
    /** A model of two versions, and an endpoint that is to run the first one. */
    async endpoint() {
      await createModel(ports, ada, { workspace: 'default', name: 'digits', description: '', tags: {} });
      const draft = { message: '', description: '', tags: {}, source: { via: 'api' as const } };
      for (const name of ['digits-v1.onnx', 'digits-v2.onnx']) {
        const files = [{ path: 'model.onnx', bytes: await readFile(join(DIGITS, name)) }];
        await createVersion(ports, ada, { workspace: 'default', name: 'digits' }, draft, files);
      }
      const spec = { model: 'digits', target: { version: 1 } };
      await createEndpoint({ ...ports, alarms: service, versions, offer: ON_ECS }, ada, REF, spec);
    },
  };
}

function recorded<T extends object>(of: T, calls: string[]): T {
  return new Proxy(of, {
    get(target, name) {
      const value = target[name as keyof T];
      if (typeof value !== 'function') return value;
      return (...input: unknown[]) => {
        calls.push(String(name));
        return value.apply(target, input);
      };
    },
  });
}
