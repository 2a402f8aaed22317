import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import { CloudWatchLogsClient } from '@aws-sdk/client-cloudwatch-logs';
import { ECSClient } from '@aws-sdk/client-ecs';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { openEcsPlatform } from '../../shared/adapters/aws/ecs-platform.ts';
import type { Clock } from '../../shared/ports/clock.ts';
import type { RolloutPlatform } from '../../shared/ports/serving-platform.ts';
import type { ServingSettings } from './settings.ts';

/** The platform on what the stack has made for it. */
export function openPlatform(serving: ServingSettings, clock: Clock): RolloutPlatform {
  return openEcsPlatform({
    clock,
    ecs: new ECSClient({}),
    balancing: new ElasticLoadBalancingV2Client({}),
    scaling: new ApplicationAutoScalingClient({}),
    logs: new CloudWatchLogsClient({}),
    region: serving.AWS_REGION,
    cluster: serving.CAIRN_ECS_CLUSTER,
    vpc: serving.CAIRN_ECS_VPC,
    subnets: serving.CAIRN_ECS_SUBNETS,
    securityGroup: serving.CAIRN_ECS_SECURITY_GROUP,
    executionRole: serving.CAIRN_ECS_EXECUTION_ROLE,
    taskRole: serving.CAIRN_ECS_TASK_ROLE,
    infrastructureRole: serving.CAIRN_ECS_INFRASTRUCTURE_ROLE,
    listener: serving.CAIRN_ALB_LISTENER,
    testListener: serving.CAIRN_ALB_TEST_LISTENER,
    image: serving.CAIRN_MODEL_SERVER_IMAGE,
    pythonImage: serving.CAIRN_PYTHON_SERVER_IMAGE,
    pythonIndex: serving.CAIRN_PYTHON_INDEX,
    architecture: serving.CAIRN_ECS_ARCHITECTURE,
    versionConsistency: serving.CAIRN_ECS_VERSION_CONSISTENCY,
    logGroup: serving.CAIRN_LOG_GROUP,
    filesUrl: serving.CAIRN_FILES_URL,
  });
}
