import {
  CfnSecurityGroup,
  FlowLogDestination,
  FlowLogTrafficType,
  GatewayVpcEndpointAwsService,
  InterfaceVpcEndpointAwsService,
  IpAddresses,
  type IVpc,
  SecurityGroup,
  type SubnetSelection,
  SubnetType,
  Vpc,
} from 'aws-cdk-lib/aws-ec2';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { acknowledge } from './acknowledge.ts';

const CIDR = '10.107.0.0/16';
/** The port that model servers listen on. */
export const MODEL_SERVER_PORT = 8080;
export const LISTENER_PORT = 80;
export const TEST_LISTENER_PORT = 9000;
/** Where tasks ask what to fetch. */
export const FILES_PORT = 8081;

/**
 * Private subnets in two zones, without NAT and without a route to the internet: tasks reach S3 and DynamoDB by gateway
 * endpoints, and images and logs by interface endpoints. Requests come by the VPC link, and only so.
 */
export class ServingNetwork extends Construct {
  readonly vpc: IVpc;
  readonly subnets: SubnetSelection;
  readonly linkGroup: CfnSecurityGroup;
  readonly balancerGroup: CfnSecurityGroup;
  readonly taskGroup: CfnSecurityGroup;

  constructor(scope: Construct, id: string, { config, key }: { config: Config; key: IKey }) {
    super(scope, id);
    const cidr = config.vpc?.cidr ?? CIDR;
    this.vpc = config.vpc ? this.#existing(config.vpc) : this.#made(config, key);
    this.subnets = { subnetType: SubnetType.PRIVATE_ISOLATED };

    this.linkGroup = this.#group(
      'Link',
      'from the VPC link',
      [],
      [tcp(LISTENER_PORT, { cidrIp: cidr }, 'to the load balancer')],
    );
    this.balancerGroup = this.#group(
      'Balancer',
      'load balancer of the endpoints',
      [
        tcp(LISTENER_PORT, { sourceSecurityGroupId: this.linkGroup.attrGroupId }, 'from the VPC link'),
        tcp(FILES_PORT, { cidrIp: cidr }, 'from the model servers'),
      ],
      [tcp(MODEL_SERVER_PORT, { cidrIp: cidr }, 'to the model servers')],
    );
    this.taskGroup = this.#group(
      'Task',
      'model servers',
      [
        tcp(
          MODEL_SERVER_PORT,
          { sourceSecurityGroupId: this.balancerGroup.attrGroupId },
          'from the load balancer',
        ),
      ],
      [
        tcp(
          443,
          { cidrIp: '0.0.0.0/0' },
          'to the VPC endpoints; S3 has public addresses, and nothing else has a route',
        ),
        tcp(FILES_PORT, { cidrIp: cidr }, 'to the load balancer, for their revision’s files'),
      ],
    );
  }

  #existing(vpc: NonNullable<Config['vpc']>): IVpc {
    return Vpc.fromVpcAttributes(this, 'Vpc', {
      vpcId: vpc.id,
      availabilityZones: vpc.availabilityZones,
      isolatedSubnetIds: vpc.subnetIds,
    });
  }

  #made(config: Config, key: IKey): IVpc {
    const vpc = new Vpc(this, 'Vpc', {
      ipAddresses: IpAddresses.cidr(CIDR),
      maxAzs: 2,
      natGateways: 0,
      restrictDefaultSecurityGroup: false,
      subnetConfiguration: [{ name: 'private', subnetType: SubnetType.PRIVATE_ISOLATED, cidrMask: 20 }],
      gatewayEndpoints: {
        S3: { service: GatewayVpcEndpointAwsService.S3 },
        DynamoDb: { service: GatewayVpcEndpointAwsService.DYNAMODB },
      },
    });
    const group = new CfnSecurityGroup(this, 'Endpoints', {
      groupDescription: 'Cairn: VPC endpoints',
      vpcId: vpc.vpcId,
      securityGroupIngress: [tcp(443, { cidrIp: CIDR }, 'from the model servers')],
      securityGroupEgress: [tcp(443, { cidrIp: CIDR }, 'answers only')],
    });
    const securityGroups = [
      SecurityGroup.fromSecurityGroupId(this, 'EndpointsGroup', group.attrGroupId, { mutable: false }),
    ];
    for (const [name, service] of Object.entries({
      Registry: InterfaceVpcEndpointAwsService.ECR,
      Images: InterfaceVpcEndpointAwsService.ECR_DOCKER,
      Logs: InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    })) {
      vpc.addInterfaceEndpoint(name, { service, securityGroups, open: false, privateDnsEnabled: true });
    }
    if (config.emulator) {
      acknowledge(vpc, { 'AwsSolutions-VPC7': 'The emulator has no flow logs.' });
      return vpc;
    }
    const logGroup = new LogGroup(this, 'FlowLogs', {
      encryptionKey: key,
      retention: config.logRetentionDays,
    });
    vpc.addFlowLog('Rejected', {
      destination: FlowLogDestination.toCloudWatchLogs(logGroup),
      trafficType: FlowLogTrafficType.REJECT,
    });
    return vpc;
  }

  #group(
    id: string,
    what: string,
    securityGroupIngress: CfnSecurityGroup.IngressProperty[],
    securityGroupEgress: CfnSecurityGroup.EgressProperty[],
  ): CfnSecurityGroup {
    return new CfnSecurityGroup(this, id, {
      groupDescription: `Cairn: ${what}`,
      vpcId: this.vpc.vpcId,
      securityGroupIngress,
      securityGroupEgress,
    });
  }
}

const tcp = <Peer>(port: number, peer: Peer, description: string) => ({
  ipProtocol: 'tcp',
  fromPort: port,
  toPort: port,
  description,
  ...peer,
});
