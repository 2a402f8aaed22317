import {
  ClientException,
  ConflictException,
  CreateServiceCommand,
  DeleteServiceCommand,
  DeleteTaskDefinitionsCommand,
  DeregisterTaskDefinitionCommand,
  DescribeServicesCommand,
  DescribeTaskDefinitionCommand,
  ListTaskDefinitionsCommand,
  paginateListServices,
  paginateListTaskDefinitionFamilies,
  RegisterTaskDefinitionCommand,
  type Service,
  ServiceDeploymentNotFoundException,
  ServiceNotActiveException,
  ServiceNotFoundException,
  StopServiceDeploymentCommand,
  UpdateServiceCommand,
} from '@aws-sdk/client-ecs';
import type { Clock } from '../../ports/clock.ts';
import type { EndpointRef, RolloutOrder, RolloutPlatform } from '../../ports/serving-platform.ts';
import { deploymentConfiguration } from './ecs-deployment.ts';
import { ecsLogs } from './ecs-logs.ts';
import { familyOf, familyPrefix, parseServiceName, revisionOf, serviceName, tagsOf } from './ecs-names.ts';
import { newestDeployment, observeService, oldOf } from './ecs-observation.ts';
import { CONTAINER, type EcsPlatformOptions, PORT } from './ecs-options.ts';
import { ensureRouting, type Routing, removeRouting } from './ecs-routing.ts';
import { setReplicas, stopScaling } from './ecs-scaling.ts';
import { isOf, taskDefinition } from './ecs-task-definition.ts';

/** Seconds in which the load balancer's checks do not count: a task first fetches its files. */
const GRACE = 600;
/** DeleteTaskDefinitions' bound. */
const DELETED_AT_ONCE = 10;

/**
 * Runs each endpoint as one ECS service on Fargate, and each revision as a task definition of it. ECS is the engine of
 * rollouts: it shifts traffic, bakes, watches alarms and goes back. Everything that is made for an endpoint has a name that
 * follows from the endpoint's, so that a verb that was interrupted anywhere is completed by repeating it. What containers
 * wrote stays until the log group forgets it; alarms are the controller's to remove.
 *
 * Needs, as infra/permissions/serving.ts grants it: of ecs CreateService, UpdateService, DeleteService, DescribeServices,
 * ListServices, RegisterTaskDefinition, DescribeTaskDefinition, DeregisterTaskDefinition, DeleteTaskDefinitions,
 * ListTaskDefinitions, ListTaskDefinitionFamilies, ListTasks, DescribeTasks, ListServiceDeployments,
 * DescribeServiceDeployments, DescribeServiceRevisions, StopServiceDeployment, TagResource; of elasticloadbalancing
 * CreateTargetGroup, ModifyTargetGroupAttributes, DeleteTargetGroup, DescribeTargetGroups, CreateRule, DeleteRule,
 * DescribeRules, AddTags; of application-autoscaling RegisterScalableTarget, DeregisterScalableTarget, PutScalingPolicy; of
 * iam PassRole for the three roles, and CreateServiceLinkedRole for the first scalable target of an account; for `logs`,
 * logs:FilterLogEvents.
 */
export function openEcsPlatform(options: EcsPlatformOptions & { readonly clock: Clock }): RolloutPlatform {
  const { ecs, cluster, infrastructureRole, clock, logs: client, logGroup } = options;

  /** The service, whether it runs or drains; undefined when it is gone. */
  async function find(ref: EndpointRef): Promise<Service | undefined> {
    const { services = [] } = await ecs.send(
      new DescribeServicesCommand({ cluster, services: [serviceName(ref)], include: ['TAGS'] }),
    );
    return services.find(({ status }) => status !== 'INACTIVE');
  }

  async function ensureTaskDefinition(order: RolloutOrder): Promise<string> {
    const family = familyOf(order, order.revision);
    const known = await ecs
      .send(new DescribeTaskDefinitionCommand({ taskDefinition: family }))
      .catch(missing);
    const { taskDefinition: there } = known ?? {};
    if (there?.taskDefinitionArn && there.status === 'ACTIVE' && isOf(there, order))
      return there.taskDefinitionArn;
    const made = await ecs.send(
      new RegisterTaskDefinitionCommand(taskDefinition(order, await order.filesToken(), options)),
    );
    if (made.taskDefinition?.taskDefinitionArn === undefined)
      throw new Error('RegisterTaskDefinition answered without an ARN');
    return made.taskDefinition.taskDefinitionArn;
  }

  async function removeTaskDefinitions(ref: EndpointRef): Promise<void> {
    const found = new Set<string>();
    const families = paginateListTaskDefinitionFamilies({ client: ecs }, { familyPrefix: familyPrefix(ref) });
    for await (const page of families) {
      for (const familyPrefix of page.families ?? []) {
        for (const status of ['ACTIVE', 'INACTIVE'] as const) {
          const { taskDefinitionArns = [] } = await ecs.send(
            new ListTaskDefinitionsCommand({ familyPrefix, status }),
          );
          for (const taskDefinition of taskDefinitionArns) {
            found.add(taskDefinition);
            if (status === 'ACTIVE') await ecs.send(new DeregisterTaskDefinitionCommand({ taskDefinition }));
          }
        }
      }
    }
    const arns = [...found];
    for (let at = 0; at < arns.length; at += DELETED_AT_ONCE) {
      const taskDefinitions = arns.slice(at, at + DELETED_AT_ONCE);
      await ecs.send(new DeleteTaskDefinitionsCommand({ taskDefinitions }));
    }
  }

  return {
    kind: 'rollout',
    logs: ecsLogs({ client, logGroup, clock }).logs,

    async rollOut(order) {
      const service = await find(order);
      // A service of that name that was withdrawn goes first; the controller comes again.
      if (service?.status === 'DRAINING') return;
      const arn = await ensureTaskDefinition(order);
      const configuration = deploymentConfiguration(
        order.strategy,
        order.alarms,
        infrastructureRole !== undefined,
      );
      if (!service) {
        const loadBalancers = [loadBalancer(await ensureRouting(options, order), infrastructureRole)];
        await ecs.send(
          new CreateServiceCommand({
            cluster,
            serviceName: serviceName(order),
            taskDefinition: arn,
            desiredCount: order.replicas.min,
            launchType: 'FARGATE',
            deploymentController: { type: 'ECS' },
            deploymentConfiguration: configuration,
            loadBalancers,
            networkConfiguration: {
              awsvpcConfiguration: {
                subnets: [...options.subnets],
                securityGroups: [options.securityGroup],
                assignPublicIp: 'DISABLED',
              },
            },
            healthCheckGracePeriodSeconds: GRACE,
            enableECSManagedTags: true,
            propagateTags: 'SERVICE',
            tags: Object.entries(tagsOf(order)).map(([key, value]) => ({ key, value })),
          }),
        );
        return;
      }
      const again = revisionOf(service.taskDefinition) === order.revision;
      if (again && (await observeService(options, service)).rollout?.phase !== 'failed') return;
      await ecs.send(
        new UpdateServiceCommand({
          cluster,
          service: serviceName(order),
          taskDefinition: arn,
          deploymentConfiguration: configuration,
          ...(again ? { forceNewDeployment: true } : {}),
        }),
      );
    },

    async rollBack(ref) {
      const service = await find(ref);
      if (!service) return;
      const newest = await newestDeployment(options, service);
      if (newest) {
        if (newest.status !== 'IN_PROGRESS' && newest.status !== 'PENDING') return;
        await ecs
          .send(
            new StopServiceDeploymentCommand({
              serviceDeploymentArn: newest.serviceDeploymentArn,
              stopType: 'ROLLBACK',
            }),
          )
          .catch(ended);
        return;
      }
      const before = oldOf(service.deployments ?? [])?.taskDefinition;
      if (before === undefined || before === service.taskDefinition) return;
      await ecs.send(
        new UpdateServiceCommand({ cluster, service: service.serviceName, taskDefinition: before }),
      );
    },

    async scale(ref, replicas) {
      const service = await find(ref);
      if (service?.status === 'ACTIVE') await setReplicas(options, service, replicas);
    },

    async observe(ref) {
      const service = await find(ref);
      return service?.status === 'ACTIVE' ? observeService(options, service) : { revisions: [], weights: {} };
    },

    async withdraw(ref) {
      const service = await find(ref);
      // The service goes last: while it is there, `list` tells that something is left to remove.
      await removeRouting(options, ref);
      await removeTaskDefinitions(ref);
      if (service?.status !== 'ACTIVE') return;
      await stopScaling(options, service);
      await ecs
        .send(new DeleteServiceCommand({ cluster, service: serviceName(ref), force: true }))
        .catch(gone);
    },

    async list() {
      const refs: EndpointRef[] = [];
      for await (const { serviceArns = [] } of paginateListServices({ client: ecs }, { cluster })) {
        refs.push(
          ...serviceArns.flatMap((arn) => parseServiceName(arn.slice(arn.lastIndexOf('/') + 1)) ?? []),
        );
      }
      return refs;
    },
  };
}

function loadBalancer({ targetGroup, shifting }: Routing, roleArn: string | undefined) {
  const base = { targetGroupArn: targetGroup, containerName: CONTAINER, containerPort: PORT };
  if (!shifting) return base;
  const { alternate, productionRule, testRule } = shifting;
  return {
    ...base,
    advancedConfiguration: {
      alternateTargetGroupArn: alternate,
      productionListenerRule: productionRule,
      ...(testRule === undefined ? {} : { testListenerRule: testRule }),
      roleArn,
    },
  };
}

/** DescribeTaskDefinition has no error of its own for a family that is not there. */
function missing(error: unknown): undefined {
  if (error instanceof ClientException && /unable to (describe|find)/i.test(error.message)) return undefined;
  throw error;
}

/** The deployment ended meanwhile: the next look tells how. */
function ended(error: unknown): void {
  if (!(error instanceof ServiceDeploymentNotFoundException || error instanceof ConflictException))
    throw error;
}

function gone(error: unknown): void {
  if (!(error instanceof ServiceNotFoundException || error instanceof ServiceNotActiveException)) throw error;
}
