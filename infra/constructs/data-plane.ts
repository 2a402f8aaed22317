import { Duration } from 'aws-cdk-lib';
import type { CfnMethod } from 'aws-cdk-lib/aws-apigateway';
import {
  ConnectionType,
  IdentitySource,
  Integration,
  IntegrationType,
  type Method,
  RequestAuthorizer,
  VpcLink,
} from 'aws-cdk-lib/aws-apigateway';
import { CfnVpcLink } from 'aws-cdk-lib/aws-apigatewayv2';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { acknowledge } from './acknowledge.ts';
import type { ApiGateway } from './api-gateway.ts';
import type { ServingPlatform } from './serving-platform.ts';
import { TIMEOUTS } from './timeouts.ts';

interface DataPlaneProps {
  readonly config: Config;
  readonly gateway: ApiGateway;
  readonly platform: ServingPlatform;
  readonly authorizer: IFunction;
}

/** The role that is needed depends on the endpoint, so the path is part of what is cached; a revoked token works for a minute. */
const CACHED = {
  identitySources: [IdentitySource.header('Authorization'), IdentitySource.context('path')],
  resultsCacheTtl: Duration.seconds(60),
};
const ASKED_EACH_TIME = {
  identitySources: [IdentitySource.header('Authorization')],
  resultsCacheTtl: Duration.seconds(0),
};
const PATH_PARAMETERS = ['workspace', 'name', 'proxy'] as const;

/** `/endpoints/<workspace>/<name>/…`: past the functions, by the VPC link to the load balancer, when the authorizer agrees. */
export class DataPlane extends Construct {
  constructor(scope: Construct, id: string, { config, gateway, platform, authorizer }: DataPlaneProps) {
    super(scope, id);
    const { api, streaming } = gateway;
    const { balancer } = platform.balancer;
    const integration = new Integration({
      type: IntegrationType.HTTP_PROXY,
      integrationHttpMethod: 'ANY',
      uri: `${origin(config, platform)}/endpoints/{workspace}/{name}/{proxy}`,
      options: {
        responseTransferMode: streaming,
        ...(config.emulator ? {} : { timeout: TIMEOUTS.inference }),
        requestParameters: {
          ...Object.fromEntries(
            PATH_PARAMETERS.map((name) => [
              `integration.request.path.${name}`,
              `method.request.path.${name}`,
            ]),
          ),
          'integration.request.header.x-request-id': 'context.requestId',
          'integration.request.header.x-cairn-principal': 'context.authorizer.principalId',
          // Whoever wrote the container is not to have the caller's token.
          'integration.request.header.Authorization': "'removed'",
        },
        ...(config.emulator ? {} : this.#link(platform)),
      },
    });
    const method = api.root
      .addResource('endpoints')
      .addResource('{workspace}')
      .addResource('{name}')
      .addResource('{proxy+}')
      .addMethod('ANY', integration, {
        authorizer: new RequestAuthorizer(this, 'Authorizer', {
          handler: authorizer,
          ...(config.emulator ? ASKED_EACH_TIME : CACHED),
        }),
        requestParameters: Object.fromEntries(
          PATH_PARAMETERS.map((name) => [`method.request.path.${name}`, true]),
        ),
      });
    acknowledge(method, {
      'AwsSolutions-COG4': 'The authorizer knows Cairn’s tokens; its users are not in a user pool.',
    });
    if (!config.emulator) aimAt(method, balancer.loadBalancerArn);
  }

  #link({ network }: ServingPlatform) {
    const link = new CfnVpcLink(this, 'Link', {
      name: 'cairn',
      subnetIds: network.vpc.selectSubnets(network.subnets).subnetIds,
      securityGroupIds: [network.linkGroup.attrGroupId],
    });
    return {
      connectionType: ConnectionType.VPC_LINK,
      vpcLink: VpcLink.fromVpcLinkId(this, 'LinkV2', link.ref),
    };
  }
}

/** A VPC link V2 is told the load balancer itself. */
function aimAt(method: Method, loadBalancerArn: string): void {
  (method.node.defaultChild as CfnMethod).addPropertyOverride(
    'Integration.IntegrationTarget',
    loadBalancerArn,
  );
}

function origin({ emulator }: Config, { balancer }: ServingPlatform): string {
  if (!emulator) return `http://${balancer.balancer.loadBalancerDnsName}`;
  return `${emulator.url.replace(/\/$/, '')}/_alb/${balancer.balancer.loadBalancerName}`;
}
