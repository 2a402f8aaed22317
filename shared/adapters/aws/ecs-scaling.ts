import {
  DeregisterScalableTargetCommand,
  ObjectNotFoundException,
  PutScalingPolicyCommand,
  RegisterScalableTargetCommand,
} from '@aws-sdk/client-application-auto-scaling';
import { type Service, TagResourceCommand, UpdateServiceCommand } from '@aws-sdk/client-ecs';
import type { ReplicaRange } from '../../ports/serving-platform.ts';
import type { EcsPlatformOptions } from './ecs-options.ts';

/** Tells on the service between which numbers it scales; without it, or empty, it has a fixed number of tasks. */
const TAG = 'cairn:scales-between';
/** Percent of the tasks' CPU that scaling aims at; inference is bound by it. */
const CPU_TARGET = 60;

type Options = Pick<EcsPlatformOptions, 'ecs' | 'scaling' | 'cluster'>;

export function replicasOf({ tags = [], desiredCount = 0 }: Service): ReplicaRange {
  const [min, max] = (tags.find(({ key }) => key === TAG)?.value ?? '').split('-').map(Number);
  return min && max ? { min, max } : { min: desiredCount, max: desiredCount };
}

/** The tag is written last: it says what is in effect. */
export async function setReplicas(
  options: Options,
  service: Service,
  { min, max }: ReplicaRange,
): Promise<void> {
  const { ecs, scaling, cluster } = options;
  const { serviceName, serviceArn } = service;
  const target = {
    ServiceNamespace: 'ecs',
    ResourceId: `service/${cluster}/${serviceName}`,
    ScalableDimension: 'ecs:service:DesiredCount',
  } as const;
  const mark = (value: string) =>
    ecs.send(new TagResourceCommand({ resourceArn: serviceArn, tags: [{ key: TAG, value }] }));
  if (min < max) {
    await scaling.send(new RegisterScalableTargetCommand({ ...target, MinCapacity: min, MaxCapacity: max }));
    await scaling.send(
      new PutScalingPolicyCommand({
        ...target,
        PolicyName: 'cpu',
        PolicyType: 'TargetTrackingScaling',
        TargetTrackingScalingPolicyConfiguration: {
          TargetValue: CPU_TARGET,
          PredefinedMetricSpecification: { PredefinedMetricType: 'ECSServiceAverageCPUUtilization' },
          ScaleInCooldown: 300,
          ScaleOutCooldown: 60,
        },
      }),
    );
    await mark(`${min}-${max}`);
    return;
  }
  await stopScaling(options, service);
  await ecs.send(new UpdateServiceCommand({ cluster, service: serviceName, desiredCount: min }));
  if (scales(service)) await mark('');
}

/** Has nothing but Cairn decide on the number of tasks. */
export async function stopScaling({ scaling, cluster }: Options, service: Service): Promise<void> {
  if (!scales(service)) return;
  await scaling
    .send(
      new DeregisterScalableTargetCommand({
        ServiceNamespace: 'ecs',
        ResourceId: `service/${cluster}/${service.serviceName}`,
        ScalableDimension: 'ecs:service:DesiredCount',
      }),
    )
    .catch((error) => {
      if (!(error instanceof ObjectNotFoundException)) throw error;
    });
}

const scales = ({ tags = [] }: Service) => tags.some(({ key }) => key === TAG);
