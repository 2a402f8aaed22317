import type { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import type { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import type { ECSClient } from '@aws-sdk/client-ecs';
import type { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';

/**
 * What endpoints run on, made beforehand by infra/constructs/serving-platform.ts, whose variables name it; what there is for
 * each endpoint is made and removed at run time.
 */
export interface EcsPlatformOptions {
  readonly ecs: ECSClient;
  readonly balancing: ElasticLoadBalancingV2Client;
  readonly scaling: ApplicationAutoScalingClient;
  readonly logs: CloudWatchLogsClient;
  readonly region: string;
  /** `CAIRN_ECS_CLUSTER`: its name. */
  readonly cluster: string;
  /** `CAIRN_ECS_VPC` */
  readonly vpc: string;
  /** `CAIRN_ECS_SUBNETS`, split at commas. */
  readonly subnets: readonly string[];
  /** `CAIRN_ECS_SECURITY_GROUP` */
  readonly securityGroup: string;
  /** `CAIRN_ECS_EXECUTION_ROLE`: pulls the image and writes logs. */
  readonly executionRole: string;
  /** `CAIRN_ECS_TASK_ROLE`: may do nothing. */
  readonly taskRole: string;
  /** `CAIRN_ECS_INFRASTRUCTURE_ROLE`: lets ECS shift traffic between two target groups. Without it ECS only replaces tasks (`ROLLING`). */
  readonly infrastructureRole?: string | undefined;
  /** `CAIRN_ALB_LISTENER`: the load balancer's listener that requests come in by. */
  readonly listener: string;
  /** `CAIRN_ALB_TEST_LISTENER`: one by which a new revision can be tried before it has traffic. */
  readonly testListener?: string | undefined;
  /** `CAIRN_MODEL_SERVER_IMAGE`: the model server's, of functions/model-server/Dockerfile. */
  readonly image: string;
  /** `CAIRN_PYTHON_SERVER_IMAGE`: the one for models that MLflow logged, of functions/python-server/Dockerfile. */
  readonly pythonImage?: string | undefined;
  /** `CAIRN_PYTHON_INDEX`: where its tasks get packages that the image does not have; PyPI without it. */
  readonly pythonIndex?: string | undefined;
  /** Of the images; ARM64 unless said otherwise. */
  readonly architecture?: 'ARM64' | 'X86_64' | undefined;
  /** `disabled` for an image that ECS cannot ask a registry about; enabled unless said otherwise. */
  readonly versionConsistency?: 'enabled' | 'disabled' | undefined;
  /** `CAIRN_LOG_GROUP`: its name. */
  readonly logGroup: string;
  /** `CAIRN_FILES_URL`: where functions/revision-files answers tasks: they ask `<filesUrl>/revisions/<workspace>/<endpoint>/<revision>/files`. */
  readonly filesUrl: string;
}

/** The port that model servers listen on, and the container's name. */
export const PORT = 8080;
export const CONTAINER = 'model-server';
