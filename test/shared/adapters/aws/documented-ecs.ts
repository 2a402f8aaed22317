import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import {
  type Deployment,
  ECSClient,
  type Service,
  type ServiceDeployment,
  type ServiceRevision,
} from '@aws-sdk/client-ecs';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import type { EcsPlatformOptions } from '../../../../shared/adapters/aws/ecs-options.ts';
import { openEcsPlatform } from '../../../../shared/adapters/aws/ecs-platform.ts';
import { filesDigest } from '../../../../shared/serving/files-digest.ts';
import { type Answer, answeringHandler, type Sent } from './answering-handler.ts';

export const REF = { workspace: 'default', endpoint: 'digits' };

const ARN = 'arn:aws:ecs:us-east-1:123456789012';
export const taskDefinitionArn = (revision: number) =>
  `${ARN}:task-definition/cairn-default_digits_r${revision}:1`;
export const deploymentArn = (n: number) => `${ARN}:service-deployment/cairn/default_digits/d${n}`;
const serviceRevisionArn = (revision: number) => `${ARN}:service-revision/cairn/default_digits/${revision}`;

/** What DescribeServices tells of a deployment of the service. Times are seconds, as in ECS's JSON. */
export const runs = (revision: number, changes: Partial<Deployment> = {}): Deployment => ({
  id: `ecs-svc/${revision}`,
  status: 'PRIMARY',
  taskDefinition: taskDefinitionArn(revision),
  desiredCount: 1,
  runningCount: 1,
  failedTasks: 0,
  ...changes,
});

export const service = (changes: Partial<Service> = {}): Service => ({
  serviceArn: `${ARN}:service/cairn/default_digits`,
  serviceName: 'default_digits',
  status: 'ACTIVE',
  desiredCount: 1,
  taskDefinition: taskDefinitionArn(1),
  deployments: [runs(1)],
  tags: [],
  ...changes,
});

type Summary = NonNullable<ServiceDeployment['targetServiceRevision']>;

/** What DescribeServiceDeployments tells of the way from one revision to another. */
export const goes = (
  from: number | undefined,
  to: number,
  changes: Partial<ServiceDeployment> & { target?: Summary } = {},
): ServiceDeployment => {
  const { target, ...rest } = changes;
  return {
    serviceDeploymentArn: deploymentArn(to),
    status: 'IN_PROGRESS',
    sourceServiceRevisions: from === undefined ? [] : [{ arn: serviceRevisionArn(from) }],
    targetServiceRevision: { arn: serviceRevisionArn(to), ...target },
    ...rest,
  };
};

export const backTo = (revision: number, reason: string): ServiceDeployment['rollback'] => ({
  serviceRevisionArn: serviceRevisionArn(revision),
  reason,
});

/** The files of every version. */
export const FILES = [{ path: 'model.onnx', size: 10, sha256: 'a'.repeat(64), key: 'k' }];

export interface Account {
  readonly service?: Service;
  readonly deployments?: readonly ServiceDeployment[];
  /** Answers to other calls, by their names. */
  readonly answers?: Readonly<Record<string, Answer>>;
}

const nameOf = ({ headers, body }: Sent) =>
  headers['x-amz-target']?.split('.').at(-1) ?? new URLSearchParams(String(body)).get('Action') ?? '';

/**
 * The platform on ECS, Elastic Load Balancing and Application Auto Scaling as their API references describe their answers,
 * for what no emulator has: nothing changes by itself, and each test says what is there.
 */
export function documentedEcs(account: Account, changes: Partial<EcsPlatformOptions> = {}) {
  const { deployments = [] } = account;
  const revisions: ServiceRevision[] = deployments
    .flatMap(({ targetServiceRevision, sourceServiceRevisions = [], rollback }) => [
      targetServiceRevision?.arn,
      ...sourceServiceRevisions.map(({ arn }) => arn),
      rollback?.serviceRevisionArn,
    ])
    .flatMap((arn = '') => ({
      serviceRevisionArn: arn,
      taskDefinition: taskDefinitionArn(Number(arn.slice(arn.lastIndexOf('/') + 1))),
    }));
  const { handler, sent } = answeringHandler((one) => {
    const name = nameOf(one);
    const given = account.answers?.[name];
    if (given) return given;
    switch (name) {
      case 'DescribeServices':
        return { body: { services: account.service ? [account.service] : [] } };
      case 'ListServiceDeployments':
        return {
          body: {
            serviceDeployments: deployments.map(({ serviceDeploymentArn }, n) => ({
              serviceDeploymentArn,
              createdAt: 1_800_000_000 + n,
            })),
          },
        };
      case 'DescribeServiceDeployments':
        return {
          body: {
            serviceDeployments: deployments.filter(({ serviceDeploymentArn = '' }) =>
              one.body.serviceDeploymentArns.includes(serviceDeploymentArn),
            ),
          },
        };
      case 'DescribeServiceRevisions':
        return {
          body: {
            serviceRevisions: revisions.filter(({ serviceRevisionArn = '' }) =>
              one.body.serviceRevisionArns.includes(serviceRevisionArn),
            ),
          },
        };
      case 'DescribeTaskDefinition': {
        const revision = Number(/_r(\d+)/.exec(one.body.taskDefinition)?.[1]);
        const environment = [
          { name: 'CAIRN_MODEL_VERSION', value: String(revision) },
          { name: 'CAIRN_FILES_DIGEST', value: filesDigest(FILES) },
        ];
        return {
          body: {
            taskDefinition: {
              taskDefinitionArn: taskDefinitionArn(revision),
              status: 'ACTIVE',
              containerDefinitions: [{ environment }],
            },
          },
        };
      }
      case 'DescribeTargetGroups': {
        const [found = ''] = /cairn-[0-9a-f]+-[ab]/.exec(String(one.body)) ?? [];
        const arn = `arn:targetgroup/${found}`;
        return xml(
          name,
          `<TargetGroups><member><TargetGroupArn>${arn}</TargetGroupArn></member></TargetGroups>`,
        );
      }
      case 'DescribeRules': {
        const listener = new URLSearchParams(String(one.body)).get('ListenerArn');
        const rule = `<member><RuleArn>${listener}/rule</RuleArn><Conditions><member><Field>path-pattern</Field><Values><member>/endpoints/default/digits/*</member></Values></member></Conditions></member>`;
        return xml(name, `<Rules>${rule}</Rules>`);
      }
      default:
        return name.startsWith('Delete') && String(one.body).startsWith('A') ? xml(name, '') : {};
    }
  });
  const config = {
    region: 'us-east-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
    requestHandler: handler as never,
  };
  const platform = openEcsPlatform({
    ecs: new ECSClient(config),
    balancing: new ElasticLoadBalancingV2Client(config),
    scaling: new ApplicationAutoScalingClient(config),
    logs: new CloudWatchLogsClient(config),
    clock: { now: () => Date.UTC(2026, 0, 1) },
    region: 'us-east-1',
    cluster: 'cairn',
    vpc: 'vpc-1',
    subnets: ['subnet-a', 'subnet-b'],
    securityGroup: 'sg-1',
    executionRole: 'arn:aws:iam::123456789012:role/execution',
    taskRole: 'arn:aws:iam::123456789012:role/task',
    infrastructureRole: 'arn:aws:iam::123456789012:role/infrastructure',
    listener: 'arn:listener/production',
    testListener: 'arn:listener/test',
    image: 'registry.example/model-server:1',
    logGroup: 'cairn',
    filesUrl: 'http://files.example:8081',
    ...changes,
  });
  return {
    platform,
    /** Calls that change something: their names and what was sent. */
    writes: () =>
      sent
        .map((one) => ({ name: nameOf(one), body: one.body }))
        .filter(({ name }) => !/^(Describe|List)/.test(name)),
  };
}

/** An answer of Elastic Load Balancing. */
export const xml = (name: string, result: string): Answer => ({
  body: `<${name}Response><${name}Result>${result}</${name}Result></${name}Response>`,
  headers: { 'content-type': 'text/xml' },
});
