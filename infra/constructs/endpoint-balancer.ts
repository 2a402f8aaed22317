import { SecurityGroup } from 'aws-cdk-lib/aws-ec2';
import {
  ApplicationListener,
  ApplicationLoadBalancer,
  ApplicationProtocol,
  DesyncMitigationMode,
  ListenerAction,
} from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { acknowledge } from './acknowledge.ts';
import { LISTENER_PORT, type ServingNetwork, TEST_LISTENER_PORT } from './serving-network.ts';
import { TIMEOUTS } from './timeouts.ts';

/** The internal load balancer; the rules of its listeners, one for each endpoint, are made and removed at run time. */
export class EndpointBalancer extends Construct {
  readonly balancer: ApplicationLoadBalancer;
  readonly listener: ApplicationListener;
  readonly testListener: ApplicationListener;

  constructor(
    scope: Construct,
    id: string,
    { config, network }: { config: Config; network: ServingNetwork },
  ) {
    super(scope, id);
    this.balancer = new ApplicationLoadBalancer(this, 'LoadBalancer', {
      vpc: network.vpc,
      vpcSubnets: network.subnets,
      internetFacing: false,
      securityGroup: SecurityGroup.fromSecurityGroupId(this, 'Group', network.balancerGroup.attrGroupId, {
        mutable: false,
      }),
      idleTimeout: TIMEOUTS.inference,
      dropInvalidHeaderFields: true,
      desyncMitigationMode: DesyncMitigationMode.STRICTEST,
      deletionProtection: config.removalPolicy === 'retain',
    });
    this.listener = this.#listener('Listener', LISTENER_PORT);
    this.testListener = this.#listener('TestListener', TEST_LISTENER_PORT);
    const noAccessLog =
      'API Gateway logs every request with its route, status and times; this would be the same again.';
    acknowledge(this.balancer, { 'AwsSolutions-ELB2': noAccessLog, CKV_AWS_91: noAccessLog });
  }

  #listener(id: string, port: number): ApplicationListener {
    const listener = new ApplicationListener(this, id, {
      loadBalancer: this.balancer,
      port,
      protocol: ApplicationProtocol.HTTP,
      open: false,
      defaultAction: ListenerAction.fixedResponse(503, {
        contentType: 'application/problem+json',
        messageBody: JSON.stringify({
          title: 'No such endpoint, or it does not run',
          status: 503,
          code: 'ENDPOINT_NOT_READY',
          fix: 'Try again shortly; `cairn status` tells why.',
        }),
      }),
    });
    const inside =
      'Inside private subnets, between the VPC link and the tasks: API Gateway ends TLS, and a certificate here would need a domain that not everyone has.';
    acknowledge(listener, { CKV_AWS_2: inside, CKV_AWS_103: inside });
    return listener;
  }
}
