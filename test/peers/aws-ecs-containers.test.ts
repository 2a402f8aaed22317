import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { reconcile } from '../../functions/reconcile/handler.ts';
import { answerRevisionFiles } from '../../functions/revision-files/handler.ts';
import type { AlarmDefinition, AlarmDescription } from '../../shared/ports/alarm-service.ts';
import {
  createEndpoint,
  deleteEndpoint,
  getEndpoint,
  updateEndpoint,
} from '../../shared/serving/endpoint.ts';
import { ON_ECS_ROLLING } from '../../shared/serving/platform-offer.ts';
import type { ReconcileDeps } from '../../shared/serving/reconcile.ts';
import type { EndpointStatus } from '../../shared/serving/status.ts';
import type { VersionSource } from '../../shared/serving/version-source.ts';
import { buildImage } from '../../tools/container-image.ts';
import { asksFor, digitsModel, testSet } from '../functions/model-server/digits-data.ts';
import { type LocalPorts, openLocalPorts, someone } from '../support/local-ports.ts';
import { NOTHING, openEcs, REF } from './aws-ecs-fixture.ts';
import { type Ministack, startMinistack } from './aws-ministack.ts';
import { type DockerEngine, dockerEngine } from './docker-engine.ts';

const IMAGE = 'cairn-model-server:ecs-test';
const WAIT = { timeout: 40_000, interval: 250 };
const ada = someone('ada', 'deployer');

const MODELS = new Map([
  [1, digitsModel('digits-v1')],
  [2, digitsModel('digits-v2')],
]);
const keyOf = (version: number) => `workspaces/default/models/m1/blobs/v${version}`;

const versions: VersionSource = {
  findModel: async (_, name) => ({ id: 'm1', name }),
  findVersion: async () => ({ status: 'READY', approval: 'PENDING' }),
  resolveAlias: async () => undefined,
  async listFiles(_, __, version) {
    const bytes = MODELS.get(version) ?? Buffer.alloc(0);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    return [{ path: 'model.onnx', size: bytes.length, sha256, key: keyOf(version) }];
  },
};

/** Alarms that stay OK. */
function quietAlarms(now: () => number) {
  const known = new Map<string, AlarmDescription>();
  return {
    async putAlarm(alarm: AlarmDefinition) {
      const state = { state: 'OK', stateReason: '', stateUpdatedAt: now() } as const;
      known.set(alarm.name, { ...state, ...alarm });
    },
    async deleteAlarms(names: readonly string[]) {
      for (const name of names) known.delete(name);
    },
    describeAlarms: async (prefix: string) =>
      [...known.values()].filter(({ name }) => name.startsWith(prefix)),
    names: () => [...known.keys()],
  };
}

/** Everything but AWS itself is the real thing: the controller, the files' door, the image, the containers. */
describe('an endpoint on ministack’s ECS, whose tasks are containers', { timeout: 400_000 }, () => {
  let engine: DockerEngine;
  let server: Ministack;
  let ports: LocalPorts;
  let door: Server;
  let it: Awaited<ReturnType<typeof openEcs>>;
  let deps: ReconcileDeps;
  let alarms: ReturnType<typeof quietAlarms>;

  beforeAll(async () => {
    engine = await dockerEngine();
    vi.stubEnv('DOCKER_HOST', engine.host);
    await buildImage('model-server', IMAGE);
    server = await startMinistack({ DOCKER_HOST: engine.host });
    ports = await openLocalPorts(engine.gateway);
    for (const [version, bytes] of MODELS) await ports.blobs.put(keyOf(version), bytes);
    door = createServer(async ({ method = '', url = '', headers: { authorization } }, response) => {
      const { pathname: path, searchParams } = new URL(url, 'http://door');
      const after = searchParams.get('after') ?? undefined;
      const answer = await answerRevisionFiles(
        { ...ports, versions },
        { method, path, after, authorization },
      );
      response.writeHead(answer.status, answer.headers).end(answer.body);
    }).listen(0, '0.0.0.0');
    await once(door, 'listening');
    it = await openEcs(server, {
      image: IMAGE,
      architecture: process.arch === 'arm64' ? 'ARM64' : 'X86_64',
      filesUrl: `http://${engine.gateway}:${(door.address() as AddressInfo).port}`,
    });
    alarms = quietAlarms(ports.clock.now);
    deps = { ...ports, versions, alarms, platform: it.platform };
  });
  afterAll(async () => {
    it?.close();
    await server?.close();
    door?.close();
    await ports?.close();
    await engine?.docker('rmi', '--force', IMAGE);
    await engine?.close();
  });

  const serving = () => ({ ...ports, versions, alarms, offer: ON_ECS_ROLLING });
  const status = async (): Promise<EndpointStatus> => (await getEndpoint(ports, ada, REF)).status;
  const until = (expected: object) =>
    vi.waitFor(async () => {
      await reconcile(deps, REF, 'test');
      const now = await status();
      expect(now, JSON.stringify(now)).toMatchObject(expected);
    }, WAIT);
  const spec = (version: number) => ({ model: 'digits', target: { version }, platform: 'ecs' });
  /** What answers at the endpoint's address, through the load balancer. */
  const answering = async () => {
    const response = await it.request('/endpoints/default/digits/v2/models/digits/infer', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(asksFor(testSet.images.slice(0, 4))),
    });
    return { status: response.status, revision: response.headers.get('cairn-revision') };
  };
  const served = (revision: number) =>
    vi.waitFor(
      async () => expect(await answering()).toEqual({ status: 200, revision: String(revision) }),
      WAIT,
    );

  test('a version is served by a container that fetched it', async () => {
    await createEndpoint(serving(), ada, REF, spec(1));
    await until({ phase: 'idle', current: { revision: 1, version: 1, ready: 1 } });
    await served(1);
    const lines = await it.platform.logs(REF, { revision: 1, limit: 50 });
    expect(lines.some(({ message }) => message.includes('model loaded'))).toBe(true);
  });

  test('a reconcile with nothing to do changes nothing', async () => {
    expect(await it.writesOf(() => reconcile(deps, REF, 'test'))).toEqual([]);
    expect(await reconcile(deps, REF, 'test')).toEqual({});
  });

  test('a revision whose tasks do not start is given up by the circuit breaker, and the one that serves goes on', async () => {
    // The emulator looks at no health: a task that ends a second after its start would have been well.
    const platform = it.platformWith({ image: 'no-such-image:1' });
    await updateEndpoint(serving(), ada, REF, spec(2));
    await vi.waitFor(async () => {
      await reconcile({ ...deps, platform }, REF, 'test');
      expect(await status()).toMatchObject({
        phase: 'idle',
        current: { revision: 1 },
        rejected: { version: 2 },
        lastFailure: { version: 2, reason: expect.stringContaining('circuit breaker') },
      });
    }, WAIT);
    await served(1);
  });

  test('deleted, it leaves no container, rule, target group, task definition or alarm', async () => {
    await deleteEndpoint(ports, ada, REF);
    await vi.waitFor(async () => {
      await reconcile(deps, REF, 'test');
      expect(await it.remains()).toEqual(NOTHING);
      expect(await engine.docker('ps', '--quiet', '--filter', `ancestor=${IMAGE}`)).toBe('');
    }, WAIT);
    expect(alarms.names()).toEqual([]);
    expect(await it.platform.list()).toEqual([]);
  });
});
