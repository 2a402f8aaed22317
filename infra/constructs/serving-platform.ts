import { join } from 'node:path';
import { IgnoreMode } from 'aws-cdk-lib';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Construct } from 'constructs';
import type { Config } from '../config.ts';
import { IMAGE_SOURCES, type ImageName } from '../images.ts';
import { EndpointBalancer } from './endpoint-balancer.ts';
import { ModelCluster } from './model-cluster.ts';
import { filesUrl } from './revision-files-door.ts';
import { ServingNetwork } from './serving-network.ts';
import { TaskRoles } from './task-roles.ts';

const PROJECT = join(import.meta.dirname, '../..');

/** All that endpoints run on; made when serving is turned on, since network and load balancer cost money while idle. */
export class ServingPlatform extends Construct {
  readonly network: ServingNetwork;
  readonly balancer: EndpointBalancer;
  readonly cluster: ModelCluster;
  readonly roles: TaskRoles;
  /** The `CAIRN_ECS_…` and `CAIRN_ALB_…` variables that the ECS adapter is made from. */
  readonly environment: Readonly<Record<string, string>>;

  constructor(scope: Construct, id: string, { config, key }: { config: Config; key: IKey }) {
    super(scope, id);
    this.network = new ServingNetwork(this, 'Network', { config, key });
    this.balancer = new EndpointBalancer(this, 'Balancer', { config, network: this.network });
    this.cluster = new ModelCluster(this, 'Models', { config, key, network: this.network });
    const image =
      config.modelServerImage === undefined ? this.#image('ModelServer', 'model-server') : undefined;
    const givenPython = config.pythonServerImage !== undefined && config.pythonServerImage !== 'build';
    const packages = config.pythonPackages?.join(' ');
    const python =
      config.pythonServerImage === 'build'
        ? this.#image('PythonServer', 'python-server', packages ? { PACKAGES: packages } : {})
        : undefined;
    this.roles = new TaskRoles(this, 'Roles', {
      balancer: this.balancer,
      logGroup: this.cluster.logGroup,
      // Both are in one repository, that of CDK's assets.
      repository: givenPython ? undefined : image?.repository,
    });
    const { vpc, subnets, taskGroup } = this.network;
    this.environment = {
      CAIRN_ECS_CLUSTER: this.cluster.cluster.clusterName,
      CAIRN_ECS_EXECUTION_ROLE: this.roles.execution.roleArn,
      CAIRN_ECS_TASK_ROLE: this.roles.task.roleArn,
      CAIRN_ECS_INFRASTRUCTURE_ROLE: this.roles.infrastructure.roleArn,
      CAIRN_ECS_SUBNETS: vpc.selectSubnets(subnets).subnetIds.join(','),
      CAIRN_ECS_SECURITY_GROUP: taskGroup.attrGroupId,
      CAIRN_ECS_VPC: vpc.vpcId,
      CAIRN_ALB_LISTENER: this.balancer.listener.listenerArn,
      CAIRN_ALB_TEST_LISTENER: this.balancer.testListener.listenerArn,
      CAIRN_MODEL_SERVER_IMAGE: config.modelServerImage ?? image?.imageUri ?? '',
      ...(config.pythonServerImage && {
        CAIRN_PYTHON_SERVER_IMAGE: python?.imageUri ?? config.pythonServerImage,
      }),
      ...(config.pythonIndex && { CAIRN_PYTHON_INDEX: config.pythonIndex }),
      CAIRN_LOG_GROUP: this.cluster.logGroup.logGroupName,
      CAIRN_FILES_URL: filesUrl(
        config,
        this.balancer.balancer.loadBalancerDnsName,
        this.balancer.balancer.loadBalancerName,
      ),
      // It shifts no traffic, and its engine has the image and no registry to ask for its digest.
      ...(config.emulator && {
        CAIRN_ECS_INFRASTRUCTURE_ROLE: '',
        CAIRN_ECS_ARCHITECTURE: config.emulator.architecture,
        CAIRN_ECS_VERSION_CONSISTENCY: 'disabled',
      }),
    };
  }

  #image(id: string, name: ImageName, buildArgs: Record<string, string> = {}): DockerImageAsset {
    return new DockerImageAsset(this, id, {
      directory: PROJECT,
      file: `functions/${name}/Dockerfile`,
      buildArgs,
      platform: Platform.LINUX_ARM64,
      ignoreMode: IgnoreMode.DOCKER,
      exclude: ['*', ...IMAGE_SOURCES[name].map((path) => `!${path}`), '**/__pycache__'],
    });
  }
}
