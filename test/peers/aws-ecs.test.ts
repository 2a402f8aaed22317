import { DescribeServicesCommand, DescribeTaskDefinitionCommand } from '@aws-sdk/client-ecs';
import { DescribeRulesCommand, DescribeTargetGroupsCommand } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RolloutOrder } from '../../shared/ports/serving-platform.ts';
import { requestsFitTheirDescriptions } from './aws-described.ts';
import { NOTHING, openEcs, orderOf, REF } from './aws-ecs-fixture.ts';
import { type Ministack, startMinistack } from './aws-ministack.ts';

/** ministack without Docker: tasks are records that run at once. Its ECS replaces tasks, and knows no shifting of traffic. */
describe('ECS platform on ministack, which replaces tasks', () => {
  let server: Ministack;
  let it: Awaited<ReturnType<typeof openEcs>>;
  beforeAll(async () => {
    server = await startMinistack({ DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    it = await openEcs(server);
  });
  afterEach(() => it.close());

  const serve = async (order: RolloutOrder) => {
    await it.platform.rollOut(order);
    await vi.waitFor(async () =>
      expect(await it.platform.observe(REF)).toMatchObject({
        rollout: { revision: order.revision, phase: 'succeeded' },
      }),
    );
  };
  const service = async () => {
    const { services = [] } = await it.ecs.send(
      new DescribeServicesCommand({ cluster: 'cairn-models', services: ['default_digits'] }),
    );
    return services[0];
  };

  test('observes nothing of an endpoint that nothing runs for', async () => {
    expect(await it.platform.observe(REF)).toEqual({ revisions: [], weights: {} });
    expect(await it.platform.list()).toEqual([]);
    await it.platform.rollBack(REF);
    await it.platform.scale(REF, { min: 1, max: 1 });
  });

  test('the first revision is a service on Fargate, behind a rule for the endpoint’s path', async () => {
    await serve(orderOf(1));
    expect(await it.platform.observe(REF)).toEqual({
      revisions: [{ revision: 1, desired: 1, ready: 1, failures: 0 }],
      weights: { 1: 100 },
      replicas: { min: 1, max: 1 },
      rollout: { revision: 1, phase: 'succeeded' },
    });
    expect(await it.platform.list()).toEqual([REF]);
    const made = await service();
    expect(made).toMatchObject({
      launchType: 'FARGATE',
      desiredCount: 1,
      deploymentConfiguration: {
        strategy: 'ROLLING',
        alarms: { alarmNames: ['cairn/default/digits/errorRate'], enable: true, rollback: true },
        deploymentCircuitBreaker: { enable: true, rollback: true },
      },
      networkConfiguration: { awsvpcConfiguration: { assignPublicIp: 'DISABLED' } },
      propagateTags: 'SERVICE',
    });
    const { TargetGroups = [] } = await it.balancing.send(new DescribeTargetGroupsCommand({}));
    expect(TargetGroups).toMatchObject([{ TargetType: 'ip', Port: 8080, HealthCheckPath: '/ping' }]);
    const { Rules = [] } = await it.balancing.send(new DescribeRulesCommand({ ListenerArn: it.listener }));
    expect(Rules).toContainEqual(
      expect.objectContaining({
        Conditions: [expect.objectContaining({ Values: ['/endpoints/default/digits/*'] })],
        Transforms: [
          {
            Type: 'url-rewrite',
            UrlRewriteConfig: { Rewrites: [{ Regex: '^/endpoints/default/digits/(.*)$', Replace: '/$1' }] },
          },
        ],
      }),
    );
  });

  test('a task may write nowhere but /tmp, is nobody special, and gets what it needs to fetch its files', async () => {
    await serve(orderOf(1));
    const { taskDefinition } = await it.ecs.send(
      new DescribeTaskDefinitionCommand({ taskDefinition: 'cairn-default_digits_r1' }),
    );
    expect(taskDefinition).toMatchObject({
      cpu: '1024',
      memory: '2048',
      networkMode: 'awsvpc',
      requiresCompatibilities: ['FARGATE'],
      runtimePlatform: { cpuArchitecture: 'ARM64', operatingSystemFamily: 'LINUX' },
      containerDefinitions: [
        {
          user: '1000:1000',
          readonlyRootFilesystem: true,
          linuxParameters: { capabilities: { drop: ['ALL'] } },
          mountPoints: [{ sourceVolume: 'tmp', containerPath: '/tmp', readOnly: false }],
          healthCheck: { command: ['CMD', 'node', 'health-check.mjs'] },
          stopTimeout: 60,
          portMappings: [{ containerPort: 8080 }],
        },
      ],
    });
    const environment = taskDefinition?.containerDefinitions?.[0]?.environment ?? [];
    expect(Object.fromEntries(environment.map(({ name, value }) => [name, value]))).toMatchObject({
      CAIRN_FILES_URL: 'http://files.example:8081/revisions/default/digits/1/files',
      CAIRN_FILES_TOKEN: 'token-1',
      CAIRN_FILES_DIGEST: expect.stringMatching(/^[0-9a-f]{64}$/),
      CAIRN_METRICS: 'emf',
      CAIRN_BASE_PATH: '/endpoints/default/digits',
    });
  });

  test('a verb that is repeated changes nothing', async () => {
    await serve(orderOf(1));
    const again = async () => {
      await it.platform.rollOut(orderOf(1));
      await it.platform.rollBack(REF);
      await it.platform.observe(REF);
      await it.platform.list();
    };
    expect(await it.writesOf(again)).toEqual([]);
  });

  test('a rollout that broke off anywhere is completed by repeating it, and makes nothing twice', async () => {
    expect(await it.brokenEverywhere(() => it.platform.rollOut(orderOf(1)))).toBeGreaterThan(5);
    await serve(orderOf(1));
    expect(await it.remains()).toEqual({
      rules: 1,
      targetGroups: 1,
      families: ['cairn-default_digits_r1'],
      services: 1,
      tasks: 1,
    });
  });

  test('so is a withdrawal, and the endpoint is listed as long as something is left of it', async () => {
    await serve(orderOf(1));
    await serve(orderOf(2));
    const withdraw = async () => {
      expect(await it.platform.list()).toEqual([REF]);
      await it.platform.withdraw(REF);
    };
    expect(await it.brokenEverywhere(withdraw)).toBeGreaterThan(5);
    expect(await it.remains()).toEqual(NOTHING);
  });

  test('the next revision takes over, and the one before can come back', async () => {
    await serve(orderOf(1));
    await serve(orderOf(2));
    expect((await it.platform.observe(REF)).weights).toEqual({ 2: 100 });
    await serve(orderOf(1));
    expect((await it.platform.observe(REF)).weights).toEqual({ 1: 100 });
    expect(await it.remains()).toMatchObject({
      families: ['cairn-default_digits_r1', 'cairn-default_digits_r2'],
      tasks: 1,
    });
  });

  test('a revision’s number that was another version’s, before the table was restored, runs its own', async () => {
    await serve(orderOf(1));
    await serve(orderOf(2));
    await serve(orderOf(1));
    await serve(orderOf(2, { version: 3 }));
    const { taskDefinition } = await it.ecs.send(
      new DescribeTaskDefinitionCommand({ taskDefinition: (await service())?.taskDefinition }),
    );
    expect(taskDefinition?.containerDefinitions?.[0]?.environment).toContainEqual({
      name: 'CAIRN_MODEL_VERSION',
      value: '3',
    });
  });

  test('a fixed number of replicas is set in place', async () => {
    await serve(orderOf(1));
    await it.platform.scale(REF, { min: 3, max: 3 });
    await vi.waitFor(async () =>
      expect(await it.platform.observe(REF)).toMatchObject({
        replicas: { min: 3, max: 3 },
        revisions: [{ desired: 3, ready: 3 }],
      }),
    );
  });

  test('endpoints do not meet: names that begin alike, two workspaces', async () => {
    const others = [
      { workspace: 'default', endpoint: 'digits-2' },
      { workspace: 'default-digits', endpoint: 'digits' },
    ];
    await serve(orderOf(1));
    for (const other of others) await it.platform.rollOut(orderOf(1, other));
    await it.platform.withdraw(REF);
    expect((await it.platform.list()).sort((a, b) => (a.workspace < b.workspace ? -1 : 1))).toEqual(others);
    expect(await it.remains()).toMatchObject({ rules: 2, targetGroups: 2, services: 2, tasks: 2 });
    for (const other of others) await it.platform.withdraw(other);
    expect(await it.remains()).toEqual(NOTHING);
  });

  test('withdrawing leaves nothing behind, can be done twice, and the endpoint can come back', async () => {
    await serve(orderOf(1));
    await serve(orderOf(2));
    await it.platform.withdraw(REF);
    expect(await it.remains()).toEqual(NOTHING);
    await it.platform.withdraw(REF);
    expect(await it.platform.observe(REF)).toEqual({ revisions: [], weights: {} });
    await serve(orderOf(3));
    expect((await it.platform.observe(REF)).weights).toEqual({ 3: 100 });
  });
});

requestsFitTheirDescriptions(['ecs:CreateService', 'ecs:RegisterTaskDefinition', 'elbv2:CreateRule']);
