import type { ServiceDeployment } from '@aws-sdk/client-ecs';
import { describe, expect, test } from 'vitest';
import type { RolloutOrder, TrafficStrategy } from '../../../../shared/ports/serving-platform.ts';
import {
  type Account,
  backTo,
  deploymentArn,
  documentedEcs,
  FILES,
  goes,
  REF,
  runs,
  service,
  taskDefinitionArn,
} from './documented-ecs.ts';

const orderOf = (revision: number, changes: Partial<RolloutOrder> = {}): RolloutOrder => ({
  ...REF,
  revision,
  model: 'digits',
  version: revision,
  files: FILES,
  resources: { cpu: 0.5, memoryMiB: 1024 },
  replicas: { min: 2, max: 2 },
  strategy: { type: 'all-at-once', bakeSeconds: 120 },
  alarms: ['cairn/default/digits/errorRate', 'cairn/default/digits/r2/errorRate'],
  filesToken: async () => 'token',
  ...changes,
});

const alarms = {
  alarmNames: ['cairn/default/digits/errorRate', 'cairn/default/digits/r2/errorRate'],
  enable: true,
  rollback: true,
};
const guarded = {
  maximumPercent: 200,
  minimumHealthyPercent: 100,
  deploymentCircuitBreaker: { enable: true, rollback: true },
  alarms,
};

describe('asked of ECS by its API reference, which no emulator carries out: a rollout', () => {
  test.each<[TrafficStrategy, object]>([
    [
      { type: 'all-at-once', bakeSeconds: 120 },
      { strategy: 'BLUE_GREEN', bakeTimeInMinutes: 2 },
    ],
    [
      { type: 'blue-green', bakeSeconds: 0 },
      { strategy: 'BLUE_GREEN', bakeTimeInMinutes: 0 },
    ],
    [
      { type: 'canary', canaryPercent: 5, canarySeconds: 600, bakeSeconds: 60 },
      {
        strategy: 'CANARY',
        bakeTimeInMinutes: 1,
        canaryConfiguration: { canaryPercent: 5, canaryBakeTimeInMinutes: 10 },
      },
    ],
    [
      { type: 'linear', stepPercent: 20, stepSeconds: 180, bakeSeconds: 60 },
      {
        strategy: 'LINEAR',
        bakeTimeInMinutes: 1,
        linearConfiguration: { stepPercent: 20, stepBakeTimeInMinutes: 3 },
      },
    ],
  ])('%o', async (strategy, expected) => {
    const { platform, writes } = documentedEcs({ service: service() });
    await platform.rollOut(orderOf(2, { strategy }));
    expect(writes()).toEqual([
      {
        name: 'UpdateService',
        body: {
          cluster: 'cairn',
          service: 'default_digits',
          taskDefinition: taskDefinitionArn(2),
          deploymentConfiguration: { ...guarded, ...expected },
        },
      },
    ]);
  });

  test('that no alarm is to undo watches none', async () => {
    const { platform, writes } = documentedEcs({ service: service() });
    await platform.rollOut(orderOf(2, { alarms: [] }));
    expect(writes()[0]?.body.deploymentConfiguration.alarms).toEqual({
      alarmNames: [],
      enable: false,
      rollback: false,
    });
  });

  test('of the first revision makes a service whose traffic ECS may shift between two target groups', async () => {
    const { platform, writes } = documentedEcs({});
    await platform.rollOut(orderOf(1));
    const [create, ...others] = writes();
    expect(others).toEqual([]);
    expect(create).toMatchObject({
      name: 'CreateService',
      body: {
        serviceName: 'default_digits',
        taskDefinition: taskDefinitionArn(1),
        desiredCount: 2,
        launchType: 'FARGATE',
        deploymentController: { type: 'ECS' },
        deploymentConfiguration: { strategy: 'BLUE_GREEN', bakeTimeInMinutes: 2 },
        healthCheckGracePeriodSeconds: 600,
        loadBalancers: [
          {
            containerName: 'model-server',
            containerPort: 8080,
            targetGroupArn: expect.stringMatching(/^arn:targetgroup\/cairn-[0-9a-f]{22}-a$/),
            advancedConfiguration: {
              alternateTargetGroupArn: expect.stringMatching(/^arn:targetgroup\/cairn-[0-9a-f]{22}-b$/),
              productionListenerRule: 'arn:listener/production/rule',
              testListenerRule: 'arn:listener/test/rule',
              roleArn: 'arn:aws:iam::123456789012:role/infrastructure',
            },
          },
        ],
      },
    });
  });

  test('waits until a service of that name has drained', async () => {
    const { platform, writes } = documentedEcs({ service: service({ status: 'DRAINING' }) });
    await platform.rollOut(orderOf(1));
    expect(writes()).toEqual([]);
    expect(await platform.observe(REF)).toEqual({ revisions: [], weights: {} });
  });

  test('to where the service is already is not ordered again', async () => {
    const { platform, writes } = documentedEcs({
      service: service({ taskDefinition: taskDefinitionArn(2) }),
      deployments: [goes(1, 2)],
    });
    await platform.rollOut(orderOf(2));
    expect(writes()).toEqual([]);
  });

  test('that ECS could not even undo is ordered anew', async () => {
    const { platform, writes } = documentedEcs({
      service: service({ taskDefinition: taskDefinitionArn(2) }),
      deployments: [goes(1, 2, { status: 'ROLLBACK_FAILED' })],
    });
    await platform.rollOut(orderOf(2));
    expect(writes()).toMatchObject([{ name: 'UpdateService', body: { forceNewDeployment: true } }]);
  });
});

describe('told by ECS in the shapes of its API reference', () => {
  const seen = async (account: Account) => documentedEcs(account).platform.observe(REF);
  const both = service({
    taskDefinition: taskDefinitionArn(2),
    deployments: [runs(2), runs(1, { status: 'ACTIVE' })],
  });

  test.each<[string, Partial<ServiceDeployment> & { weight?: number }, object]>([
    ['is pending', { status: 'PENDING' }, { phase: 'in-progress' }],
    ['is on its way', { status: 'IN_PROGRESS' }, { phase: 'in-progress' }],
    ['succeeded', { status: 'SUCCESSFUL' }, { phase: 'succeeded' }],
    [
      'was asked back',
      { status: 'ROLLBACK_REQUESTED', statusReason: 'asked' },
      { phase: 'rolling-back', reason: 'asked' },
    ],
    [
      'goes back for an alarm',
      {
        status: 'ROLLBACK_IN_PROGRESS',
        rollback: backTo(1, 'Service deployment rolled back because of alarms'),
        alarms: { status: 'TRIGGERED', triggeredAlarmNames: ['cairn/default/digits/r2/errorRate'] },
      },
      {
        phase: 'rolling-back',
        reason: 'Service deployment rolled back because of alarms',
        alarm: 'cairn/default/digits/r2/errorRate',
      },
    ],
    [
      'went back since its tasks failed',
      { status: 'ROLLBACK_SUCCESSFUL', rollback: backTo(1, 'circuit breaker threshold exceeded') },
      { phase: 'rolled-back', reason: 'circuit breaker threshold exceeded' },
    ],
    ['could not go back', { status: 'ROLLBACK_FAILED' }, { phase: 'failed' }],
    ['was stopped', { status: 'STOPPED' }, { phase: 'failed' }],
  ])('a rollout %s', async (_, deployment, rollout) => {
    const { rollout: told } = await seen({ service: both, deployments: [goes(1, 2, deployment)] });
    expect(told).toEqual({ revision: 2, from: 1, ...rollout });
  });

  test.each<[string, Parameters<typeof goes>[2], object]>([
    ['none while the new tasks start', { lifecycleStage: 'SCALE_UP' }, { 1: 100 }],
    ['none while it is tried', { lifecycleStage: 'TEST_TRAFFIC_SHIFT' }, { 1: 100 }],
    [
      'the share that ECS tells while it shifts',
      { lifecycleStage: 'PRODUCTION_TRAFFIC_SHIFT', target: { requestedProductionTrafficWeight: 5 } },
      { 1: 95, 2: 5 },
    ],
    ['all while it bakes', { lifecycleStage: 'BAKE_TIME' }, { 2: 100 }],
    ['all afterwards', { status: 'SUCCESSFUL' }, { 2: 100 }],
    ['none after it went back', { status: 'ROLLBACK_SUCCESSFUL' }, { 1: 100 }],
  ])('the new revision’s traffic: %s', async (_, deployment, weights) => {
    expect((await seen({ service: both, deployments: [goes(1, 2, deployment)] })).weights).toEqual(weights);
  });

  test('of many rollouts the newest counts', async () => {
    const deployments = [goes(1, 2, { status: 'STOPPED' }), goes(1, 3)];
    const { rollout } = await seen({ service: both, deployments });
    expect(rollout).toMatchObject({ revision: 3, phase: 'in-progress' });
  });

  test('a first rollout has nothing to go back to: it failed', async () => {
    const { rollout, weights } = await seen({
      service: service(),
      deployments: [goes(undefined, 1, { status: 'ROLLBACK_REQUESTED' })],
    });
    expect(rollout).toEqual({ revision: 1, phase: 'failed' });
    expect(weights).toEqual({});
  });

  test('tasks that failed tell why', async () => {
    const observed = await seen({
      service: service({ deployments: [runs(1, { runningCount: 0, failedTasks: 3 })] }),
      deployments: [goes(undefined, 1, { status: 'STOPPED', statusReason: 'circuit breaker' })],
      answers: {
        ListTasks: { body: { taskArns: ['t'] } },
        DescribeTasks: {
          body: {
            tasks: [
              {
                taskDefinitionArn: taskDefinitionArn(1),
                lastStatus: 'STOPPED',
                stoppedReason: 'Essential container in task exited.',
                containers: [{ exitCode: 3 }],
              },
            ],
          },
        },
      },
    });
    const why = 'Essential container in task exited. The container exited with 3.';
    expect(observed.revisions).toEqual([
      { revision: 1, desired: 1, ready: 0, failures: 3, lastFailure: why },
    ]);
    expect(observed.rollout?.reason).toBe(`circuit breaker ${why}`);
  });
});

describe('going back', () => {
  test.each(['PENDING', 'IN_PROGRESS'] as const)(
    'stops a rollout that is %s with ROLLBACK',
    async (status) => {
      const { platform, writes } = documentedEcs({
        service: service(),
        deployments: [goes(1, 2, { status })],
      });
      await platform.rollBack(REF);
      expect(writes()).toEqual([
        {
          name: 'StopServiceDeployment',
          body: { serviceDeploymentArn: deploymentArn(2), stopType: 'ROLLBACK' },
        },
      ]);
    },
  );

  test.each(['ROLLBACK_REQUESTED', 'ROLLBACK_IN_PROGRESS', 'ROLLBACK_SUCCESSFUL', 'SUCCESSFUL'] as const)(
    'is not asked for again when it is %s',
    async (status) => {
      const { platform, writes } = documentedEcs({
        service: service(),
        deployments: [goes(1, 2, { status })],
      });
      await platform.rollBack(REF);
      expect(writes()).toEqual([]);
    },
  );

  test.each(['ServiceDeploymentNotFoundException', 'ConflictException'])(
    'from a rollout that ended meanwhile (%s) is no error',
    async (__type) => {
      const { platform } = documentedEcs({
        service: service(),
        deployments: [goes(1, 2)],
        answers: { StopServiceDeployment: { status: 400, body: { __type, message: 'ended' } } },
      });
      await platform.rollBack(REF);
    },
  );

  test('that is not allowed is an error', async () => {
    const { platform } = documentedEcs({
      service: service(),
      deployments: [goes(1, 2)],
      answers: {
        StopServiceDeployment: { status: 400, body: { __type: 'AccessDeniedException', message: 'no' } },
      },
    });
    await expect(platform.rollBack(REF)).rejects.toThrow('no');
  });
});

describe('replicas', () => {
  const scaled = service({ tags: [{ key: 'cairn:scales-between', value: '2-6' }], desiredCount: 4 });

  test('between two bounds are Application Auto Scaling’s, by the tasks’ CPU', async () => {
    const { platform, writes } = documentedEcs({ service: service() });
    await platform.scale(REF, { min: 2, max: 6 });
    const target = {
      ServiceNamespace: 'ecs',
      ResourceId: 'service/cairn/default_digits',
      ScalableDimension: 'ecs:service:DesiredCount',
    };
    expect(writes()).toMatchObject([
      { name: 'RegisterScalableTarget', body: { ...target, MinCapacity: 2, MaxCapacity: 6 } },
      {
        name: 'PutScalingPolicy',
        body: {
          ...target,
          PolicyType: 'TargetTrackingScaling',
          TargetTrackingScalingPolicyConfiguration: {
            TargetValue: 60,
            PredefinedMetricSpecification: { PredefinedMetricType: 'ECSServiceAverageCPUUtilization' },
          },
        },
      },
      { name: 'TagResource', body: { tags: [{ key: 'cairn:scales-between', value: '2-6' }] } },
    ]);
  });

  test('are seen as bounds however many there are now', async () => {
    const { platform } = documentedEcs({ service: scaled });
    expect((await platform.observe(REF)).replicas).toEqual({ min: 2, max: 6 });
  });

  test('become a fixed number again', async () => {
    const { platform, writes } = documentedEcs({ service: scaled });
    await platform.scale(REF, { min: 3, max: 3 });
    expect(writes()).toMatchObject([
      { name: 'DeregisterScalableTarget' },
      { name: 'UpdateService', body: { desiredCount: 3 } },
      { name: 'TagResource', body: { tags: [{ key: 'cairn:scales-between', value: '' }] } },
    ]);
  });

  test('scale no more when the endpoint is withdrawn, which ends with its service', async () => {
    const { platform, writes } = documentedEcs({
      service: scaled,
      answers: {
        ListTaskDefinitionFamilies: { body: { families: ['cairn-default_digits_r1'] } },
        ListTaskDefinitions: { body: { taskDefinitionArns: [taskDefinitionArn(1)] } },
      },
    });
    await platform.withdraw(REF);
    expect(writes().map(({ name }) => name)).toEqual([
      'DeleteRule',
      'DeleteRule',
      'DeleteTargetGroup',
      'DeleteTargetGroup',
      'DeregisterTaskDefinition',
      'DeleteTaskDefinitions',
      'DeregisterScalableTarget',
      'DeleteService',
    ]);
    expect(writes().at(-1)?.body).toMatchObject({ service: 'default_digits', force: true });
  });
});
