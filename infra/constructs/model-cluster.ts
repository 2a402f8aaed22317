import { RemovalPolicy } from 'aws-cdk-lib';
import { Cluster, ContainerInsights } from 'aws-cdk-lib/aws-ecs';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { acknowledge } from './acknowledge.ts';
import type { ServingNetwork } from './serving-network.ts';

interface ModelClusterProps {
  readonly config: Config;
  readonly network: ServingNetwork;
  readonly key: IKey;
}

/** The cluster that revisions' tasks run in, and the log group that they write to. Empty, it costs nothing. */
export class ModelCluster extends Construct {
  readonly cluster: Cluster;
  readonly logGroup: LogGroup;

  constructor(scope: Construct, id: string, { config, network, key }: ModelClusterProps) {
    super(scope, id);
    this.cluster = new Cluster(this, 'Cluster', {
      vpc: network.vpc,
      containerInsightsV2: config.containerInsights ? ContainerInsights.ENABLED : ContainerInsights.DISABLED,
    });
    this.logGroup = new LogGroup(this, 'Logs', {
      encryptionKey: key,
      retention: config.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    if (config.containerInsights) return;
    const costs =
      'It charges for each task and metric; model servers publish their own metrics. cairn:containerInsights turns it on.';
    acknowledge(this.cluster, { 'AwsSolutions-ECS4': costs, CKV_AWS_65: costs });
  }
}
