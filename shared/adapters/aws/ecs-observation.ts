import {
  type Deployment,
  DescribeServiceDeploymentsCommand,
  DescribeServiceRevisionsCommand,
  DescribeTasksCommand,
  ListServiceDeploymentsCommand,
  ListTasksCommand,
  type Service,
  type ServiceDeployment,
  type ServiceDeploymentBrief,
  type ServiceDeploymentLifecycleStage,
  type ServiceDeploymentStatus,
  type Task,
} from '@aws-sdk/client-ecs';
import type {
  PlatformRollout,
  RevisionObservation,
  RolloutObservation,
  TrafficWeights,
} from '../../ports/serving-platform.ts';
import { revisionOf } from './ecs-names.ts';
import type { EcsPlatformOptions } from './ecs-options.ts';
import { replicasOf } from './ecs-scaling.ts';

type Options = Pick<EcsPlatformOptions, 'ecs' | 'cluster'>;

/** What ECS says of a service that is there. */
export async function observeService(options: Options, service: Service): Promise<RolloutObservation> {
  const newest = await newestDeployment(options, service);
  const known = newest && (await rolloutOf(options, newest));
  const rollout = known?.rollout ?? rolloutFromDeployments(service);
  const weights = weightsOf(service, rollout, known?.percent);
  const revisions = await revisionsOf(options, service);
  return {
    revisions,
    weights,
    replicas: replicasOf(service),
    ...(rollout && { rollout: withReason(rollout, revisions) }),
  };
}

/** The deployment that ECS was last told to make, as far as ECS tells. */
export async function newestDeployment(
  { ecs, cluster }: Options,
  { serviceName }: Service,
): Promise<ServiceDeployment | undefined> {
  let newest: ServiceDeploymentBrief | undefined;
  let nextToken: string | undefined;
  do {
    const page = await ecs.send(
      new ListServiceDeploymentsCommand({ cluster, service: serviceName, maxResults: 100, nextToken }),
    );
    for (const one of page.serviceDeployments ?? []) {
      if (!newest || time(one.createdAt) > time(newest.createdAt)) newest = one;
    }
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  if (newest?.serviceDeploymentArn === undefined) return undefined;
  const described = await ecs.send(
    new DescribeServiceDeploymentsCommand({ serviceDeploymentArns: [newest.serviceDeploymentArn] }),
  );
  return described.serviceDeployments?.[0];
}

const PHASES: Readonly<Record<ServiceDeploymentStatus, PlatformRollout['phase']>> = {
  PENDING: 'in-progress',
  IN_PROGRESS: 'in-progress',
  SUCCESSFUL: 'succeeded',
  ROLLBACK_REQUESTED: 'rolling-back',
  ROLLBACK_IN_PROGRESS: 'rolling-back',
  ROLLBACK_SUCCESSFUL: 'rolled-back',
  ROLLBACK_FAILED: 'failed',
  STOP_REQUESTED: 'failed',
  STOPPED: 'failed',
};

async function rolloutOf(
  { ecs }: Options,
  deployment: ServiceDeployment,
): Promise<{ rollout: PlatformRollout; percent: number | undefined } | undefined> {
  const { targetServiceRevision, sourceServiceRevisions = [], status = 'PENDING', alarms } = deployment;
  const arns = [targetServiceRevision, ...sourceServiceRevisions].flatMap((one) => one?.arn ?? []);
  const { serviceRevisions = [] } = await ecs.send(
    new DescribeServiceRevisionsCommand({ serviceRevisionArns: arns }),
  );
  const numberOf = (arn: string | undefined) =>
    revisionOf(serviceRevisions.find(({ serviceRevisionArn }) => serviceRevisionArn === arn)?.taskDefinition);
  const revision = numberOf(targetServiceRevision?.arn);
  if (revision === undefined) return undefined;
  const back = deployment.rollback?.serviceRevisionArn;
  const from = back === undefined ? numberOf(sourceServiceRevisions.at(0)?.arn) : numberOf(back);
  const reason = deployment.rollback?.reason ?? deployment.statusReason;
  const alarm = alarms?.triggeredAlarmNames?.at(0);
  const phase = PHASES[status];
  const ended = phase !== 'in-progress' && phase !== 'succeeded';
  return {
    rollout: {
      revision,
      ...(from === undefined || from === revision ? {} : { from }),
      phase: phase === 'rolling-back' && from === undefined ? 'failed' : phase,
      ...(ended && reason ? { reason } : {}),
      ...(ended && alarm ? { alarm } : {}),
    },
    percent: shareOf(deployment),
  };
}

/** Stages of a deployment that shifts traffic in which the new revision has none yet, or all of it. */
const SHARES: Partial<Readonly<Record<ServiceDeploymentLifecycleStage, number>>> = {
  RECONCILE_SERVICE: 0,
  PRE_SCALE_UP: 0,
  SCALE_UP: 0,
  POST_SCALE_UP: 0,
  TEST_TRAFFIC_SHIFT: 0,
  POST_TEST_TRAFFIC_SHIFT: 0,
  POST_PRODUCTION_TRAFFIC_SHIFT: 100,
  BAKE_TIME: 100,
  CLEAN_UP: 100,
};

/** Percent of the traffic that the new revision has; undefined where tasks are replaced instead. */
function shareOf({ targetServiceRevision, lifecycleStage, status }: ServiceDeployment): number | undefined {
  const told = targetServiceRevision?.requestedProductionTrafficWeight;
  if (told !== undefined || lifecycleStage === undefined) return told;
  return status === 'IN_PROGRESS' ? (SHARES[lifecycleStage] ?? 0) : undefined;
}

/** The same from the service's own list, for ECS that keeps no service deployments, or none any more. */
function rolloutFromDeployments({ deployments = [] }: Service): PlatformRollout | undefined {
  const [newest] = [...deployments].sort((a, b) => time(b.createdAt) - time(a.createdAt));
  const primary = deployments.find(({ status }) => status === 'PRIMARY');
  const [revision, at] = [revisionOf(newest?.taskDefinition), revisionOf(primary?.taskDefinition)];
  if (!newest || !primary || revision === undefined || at === undefined) return undefined;
  const settled = primary.rolloutState === 'COMPLETED' && isUp(primary);
  if (newest.rolloutState === 'FAILED') {
    const reason = newest.rolloutStateReason ? { reason: newest.rolloutStateReason } : {};
    if (newest === primary) return { revision, phase: 'failed', ...reason };
    return { revision, from: at, phase: settled ? 'rolled-back' : 'rolling-back', ...reason };
  }
  if (settled) return { revision: at, phase: 'succeeded' };
  if (primary.rolloutState === 'FAILED') return { revision: at, phase: 'failed' };
  const from = revisionOf(oldOf(deployments)?.taskDefinition);
  return { revision: at, phase: 'in-progress', ...(from === undefined ? {} : { from }) };
}

/** What still runs of the deployment before. */
export const oldOf = (deployments: readonly Deployment[]): Deployment | undefined =>
  deployments.find(({ status, rolloutState }) => status === 'ACTIVE' && rolloutState === 'COMPLETED');

const isUp = ({ runningCount = 0, desiredCount = 0 }: Deployment) =>
  runningCount >= Math.max(1, desiredCount);

/** ECS tells the share where it shifts traffic; where it replaces tasks, they share the traffic evenly. */
function weightsOf(
  { deployments = [] }: Service,
  rollout: PlatformRollout | undefined,
  percent: number | undefined,
): TrafficWeights {
  if (!rollout || rollout.phase === 'failed') return {};
  const { revision, from, phase } = rollout;
  if (phase === 'succeeded') return { [revision]: 100 };
  if (phase === 'rolled-back') return from === undefined ? {} : { [from]: 100 };
  const running = (of: number) =>
    deployments
      .filter(({ taskDefinition }) => revisionOf(taskDefinition) === of)
      .reduce((sum, { runningCount = 0 }) => sum + runningCount, 0);
  if (from === undefined) return running(revision) > 0 ? { [revision]: 100 } : {};
  const all = running(revision) + running(from);
  const share = percent ?? (all === 0 ? 0 : Math.round((100 * running(revision)) / all));
  return Object.fromEntries(
    [
      [revision, share],
      [from, 100 - share],
    ].filter(([, weight]) => weight !== 0),
  );
}

async function revisionsOf(options: Options, service: Service): Promise<RevisionObservation[]> {
  const { deployments = [] } = service;
  const byRevision = Map.groupBy(deployments, ({ taskDefinition }) => revisionOf(taskDefinition));
  const failing = deployments.some(({ failedTasks = 0 }) => failedTasks > 0);
  const steady = deployments.length === 1 && deployments.every(isUp);
  const tasks = steady ? undefined : await tasksOf(options, service, 'RUNNING');
  const stopped = failing ? await tasksOf(options, service, 'STOPPED') : [];
  return [...byRevision].flatMap(([revision, of]) => {
    if (revision === undefined) return [];
    const mine = (task: Task) => revisionOf(task.taskDefinitionArn) === revision;
    const sum = (count: (one: Deployment) => number | undefined) =>
      of.reduce((total, one) => total + (count(one) ?? 0), 0);
    const last = stopped.filter(mine).sort((a, b) => time(b.stoppedAt) - time(a.stoppedAt))[0];
    const failures = sum(({ failedTasks }) => failedTasks);
    const why = failures > 0 && last ? whyStopped(last) : undefined;
    return [
      {
        revision,
        desired: sum(({ desiredCount }) => desiredCount),
        ready: tasks ? tasks.filter(mine).filter(isReady).length : sum(({ runningCount }) => runningCount),
        failures,
        ...(why === undefined ? {} : { lastFailure: why }),
      },
    ];
  });
}

/** At most 100, which is what DescribeTasks takes. */
async function tasksOf(
  { ecs, cluster }: Options,
  { serviceName }: Service,
  desiredStatus: 'RUNNING' | 'STOPPED',
): Promise<Task[]> {
  const { taskArns = [] } = await ecs.send(new ListTasksCommand({ cluster, serviceName, desiredStatus }));
  if (taskArns.length === 0) return [];
  const { tasks = [] } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: taskArns }));
  return tasks;
}

/** `UNKNOWN` is a task whose health nobody looks at. */
const isReady = ({ lastStatus, healthStatus }: Task) =>
  lastStatus === 'RUNNING' && healthStatus !== 'UNHEALTHY';

function whyStopped({ containers = [], stoppedReason = '' }: Task): string | undefined {
  const container = containers.find(({ exitCode, reason }) => reason !== undefined || exitCode !== undefined);
  const exit = container?.exitCode === undefined ? '' : `The container exited with ${container.exitCode}`;
  const parts = [stoppedReason, exit, container?.reason ?? ''].filter((part) => part !== '');
  return parts.length === 0 ? undefined : parts.map((part) => part.replace(/\.?$/, '.')).join(' ');
}

/** ECS's reason is that tasks failed; the tasks tell why. */
function withReason(rollout: PlatformRollout, revisions: readonly RevisionObservation[]): PlatformRollout {
  const last = revisions.find(({ revision }) => revision === rollout.revision)?.lastFailure;
  return rollout.reason === undefined || last === undefined
    ? rollout
    : { ...rollout, reason: `${rollout.reason} ${last}` };
}

const time = (date: Date | undefined) => date?.getTime() ?? 0;
