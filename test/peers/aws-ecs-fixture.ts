import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import { CloudWatchLogsClient, CreateLogGroupCommand } from '@aws-sdk/client-cloudwatch-logs';
import {
  CreateClusterCommand,
  ECSClient,
  ListServicesCommand,
  ListTaskDefinitionFamiliesCommand,
  ListTasksCommand,
} from '@aws-sdk/client-ecs';
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  DescribeRulesCommand,
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import type { EcsPlatformOptions } from '../../shared/adapters/aws/ecs-options.ts';
import { openEcsPlatform } from '../../shared/adapters/aws/ecs-platform.ts';
import type { RolloutOrder } from '../../shared/ports/serving-platform.ts';
import type { Ministack } from './aws-ministack.ts';

export const REF = { workspace: 'default', endpoint: 'digits' };
const CLUSTER = 'cairn-models';

/** What infra/constructs makes for endpoints, in an account of its own, and the platform on it. */
export async function openEcs(server: Ministack, changes: Partial<EcsPlatformOptions> = {}) {
  const account = server.account();
  const ecs = new ECSClient(account);
  const balancing = new ElasticLoadBalancingV2Client(account);
  const scaling = new ApplicationAutoScalingClient(account);
  const logs = new CloudWatchLogsClient(account);
  await ecs.send(new CreateClusterCommand({ clusterName: CLUSTER }));
  await logs.send(new CreateLogGroupCommand({ logGroupName: 'cairn-models' }));
  const { LoadBalancers = [] } = await balancing.send(
    new CreateLoadBalancerCommand({ Name: 'cairn', Scheme: 'internal', Subnets: ['subnet-a', 'subnet-b'] }),
  );
  const listenOn = async (Port: number) => {
    const { Listeners = [] } = await balancing.send(
      new CreateListenerCommand({
        LoadBalancerArn: LoadBalancers[0]?.LoadBalancerArn,
        Protocol: 'HTTP',
        Port,
        DefaultActions: [{ Type: 'fixed-response', FixedResponseConfig: { StatusCode: '503' } }],
      }),
    );
    return Listeners[0]?.ListenerArn ?? '';
  };
  const listener = await listenOn(80);
  const calls: string[] = [];
  let failing = 0;
  for (const client of [ecs, balancing, scaling, logs]) {
    // The clients' stacks differ in type alone.
    (client as ECSClient).middlewareStack.add(
      (next, context) => (args) => {
        calls.push(context.commandName ?? '');
        if (failing > 0 && calls.length === failing) throw new Error('the connection broke');
        return next(args);
      },
      { step: 'initialize' },
    );
  }
  const role = (name: string) => `arn:aws:iam::${account.credentials.accessKeyId}:role/${name}`;
  const options = {
    ecs,
    balancing,
    scaling,
    logs,
    clock: { now: Date.now },
    region: account.region,
    cluster: CLUSTER,
    vpc: 'vpc-1',
    subnets: ['subnet-a', 'subnet-b'],
    securityGroup: 'sg-1',
    executionRole: role('execution'),
    taskRole: role('task'),
    listener,
    image: 'registry.example/model-server:1',
    versionConsistency: 'disabled',
    logGroup: 'cairn-models',
    filesUrl: 'http://files.example:8081',
    ...changes,
  } as const;
  return {
    platform: openEcsPlatform(options),
    /** The same with other options, as after an update of Cairn. */
    platformWith: (other: Partial<EcsPlatformOptions>) => openEcsPlatform({ ...options, ...other }),
    ecs,
    balancing,
    listener,
    /** Commands that change something, of those that the work sends. */
    async writesOf(work: () => Promise<unknown>): Promise<string[]> {
      calls.length = 0;
      await work();
      return calls.filter((name) => !/^(Describe|List)/.test(name));
    },
    /** Does the work once with its first call failing, once with its second, … and at last unharmed. @returns how often it failed */
    async brokenEverywhere(work: () => Promise<unknown>): Promise<number> {
      for (let failures = 0; ; failures++) {
        calls.length = 0;
        failing = failures + 1;
        try {
          await work();
          if (calls.length < failing) return failures;
        } catch (error) {
          if (!(error instanceof Error) || error.message !== 'the connection broke') throw error;
        } finally {
          failing = 0;
        }
      }
    },
    /** What there is in the account of any endpoint. */
    async remains() {
      const { Rules = [] } = await balancing.send(new DescribeRulesCommand({ ListenerArn: listener }));
      const { TargetGroups = [] } = await balancing.send(new DescribeTargetGroupsCommand({}));
      const { families } = await ecs.send(new ListTaskDefinitionFamiliesCommand({ status: 'ACTIVE' }));
      const { serviceArns } = await ecs.send(new ListServicesCommand({ cluster: CLUSTER }));
      const { taskArns } = await ecs.send(new ListTasksCommand({ cluster: CLUSTER }));
      return {
        rules: Rules.filter(({ IsDefault }) => !IsDefault).length,
        targetGroups: TargetGroups.length,
        families,
        services: serviceArns?.length,
        tasks: taskArns?.length,
      };
    },
    /** Sends to the load balancer, which the emulator finds by its name in the account that a signature names. */
    request(path: string, init: RequestInit = {}) {
      const credential = `${account.credentials.accessKeyId}/20260101/${account.region}/elasticloadbalancing/aws4_request`;
      const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host, Signature=0`;
      return fetch(`${account.endpoint}/_alb/cairn${path}`, {
        ...init,
        headers: { authorization, ...init.headers },
      });
    },
    close() {
      for (const client of [ecs, balancing, scaling, logs]) client.destroy();
    },
  };
}

export const NOTHING = { rules: 0, targetGroups: 0, families: [], services: 0, tasks: 0 };

export const orderOf = (revision: number, changes: Partial<RolloutOrder> = {}): RolloutOrder => ({
  ...REF,
  revision,
  model: 'digits',
  version: revision,
  files: [{ path: 'model.onnx', size: 10, sha256: 'a'.repeat(64), key: 'k' }],
  resources: { cpu: 1, memoryMiB: 2048 },
  replicas: { min: 1, max: 1 },
  strategy: { type: 'all-at-once', bakeSeconds: 60 },
  alarms: ['cairn/default/digits/errorRate'],
  filesToken: async () => `token-${revision}`,
  ...changes,
});
