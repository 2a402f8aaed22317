import {
  ApplicationListener,
  ApplicationListenerRule,
  ApplicationProtocol,
  ApplicationTargetGroup,
  ListenerAction,
  ListenerCondition,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { LambdaTarget } from 'aws-cdk-lib/aws-elasticloadbalancingv2-targets';
import { CfnPermission, type IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { acknowledge } from './acknowledge.ts';
import { FILES_PORT } from './serving-network.ts';
import type { ServingPlatform } from './serving-platform.ts';

interface RevisionFilesDoorProps {
  readonly config: Config;
  readonly platform: ServingPlatform;
  readonly handler: IFunction;
}

/**
 * Where tasks, which have no way out, ask what to fetch from S3: a listener of its own on the load balancer, before
 * functions/revision-files. Tasks reach no other listener, so none can call another's endpoint past the authorizer.
 */
export class RevisionFilesDoor extends Construct {
  constructor(scope: Construct, id: string, { config, platform, handler }: RevisionFilesDoorProps) {
    super(scope, id);
    const group = new ApplicationTargetGroup(this, 'Function', { targets: [new LambdaTarget(handler)] });
    for (const permission of handler.node.findAll().filter((one) => one instanceof CfnPermission)) {
      acknowledge(permission, {
        CKV_AWS_364:
          'The target group is made after the permission, which so cannot name it; the function answers only to a signature of Cairn’s own key.',
      });
    }
    const { balancer, listener: first } = platform.balancer;
    if (config.emulator) {
      new ApplicationListenerRule(this, 'Rule', {
        listener: first,
        priority: 50_000,
        conditions: [ListenerCondition.pathPatterns(['/revisions/*'])],
        action: ListenerAction.forward([group]),
      });
      return;
    }
    const listener = new ApplicationListener(this, 'Listener', {
      loadBalancer: balancer,
      port: FILES_PORT,
      protocol: ApplicationProtocol.HTTP,
      open: false,
      defaultAction: ListenerAction.forward([group]),
    });
    const inside =
      'Inside private subnets, between tasks and the load balancer; what is answered holds only with the digest that a task was made with.';
    acknowledge(listener, { CKV_AWS_2: inside, CKV_AWS_103: inside });
  }
}

/** The address of the door: `CAIRN_FILES_URL`. In the emulator, as containers see it. */
export function filesUrl({ emulator }: Config, host: string, loadBalancer: string): string {
  if (!emulator) return `http://${host}:${FILES_PORT}`;
  const url = emulator.url.replace(/\/$/, '').replace(/127\.0\.0\.1|localhost/, 'host.docker.internal');
  return `${url}/_alb/${loadBalancer}`;
}
