/** What the stacks tell a function. */
export const ENV = {
  AWS_REGION: 'us-east-1',
  CAIRN_TABLE: 'table',
  CAIRN_MODEL_BUCKET: 'models',
  CAIRN_INCOMING_BUCKET: 'incoming',
  CAIRN_KMS_SIGNING_KEY: 'arn:aws:kms:us-east-1:123456789012:key/1',
  CAIRN_KMS_DATA_KEY: 'arn:aws:kms:us-east-1:123456789012:key/2',
  CAIRN_ALARM_TOPIC: 'arn:aws:sns:us-east-1:123456789012:alarms',
  CAIRN_EVENT_TOPIC: 'arn:aws:sns:us-east-1:123456789012:events',
  CAIRN_VERIFY_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/123456789012/verify',
  CAIRN_RECONCILE_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/123456789012/reconcile',
  CAIRN_WEBHOOK_QUEUE_URL: 'https://sqs.us-east-1.amazonaws.com/123456789012/webhooks',
  CAIRN_PUBLIC_URL: 'https://abc123.execute-api.us-east-1.amazonaws.com/cairn',
  CAIRN_ADMIN_TOKEN_SECRET: 'arn:aws:secretsmanager:us-east-1:123456789012:secret:token',
};

/** And where endpoints are served. */
export const SERVING_ENV = {
  ...ENV,
  CAIRN_ECS_CLUSTER: 'cairn',
  CAIRN_ECS_EXECUTION_ROLE: 'arn:aws:iam::123456789012:role/execution',
  CAIRN_ECS_TASK_ROLE: 'arn:aws:iam::123456789012:role/task',
  CAIRN_ECS_INFRASTRUCTURE_ROLE: 'arn:aws:iam::123456789012:role/infrastructure',
  CAIRN_ECS_SUBNETS: 'subnet-1,subnet-2',
  CAIRN_ECS_SECURITY_GROUP: 'sg-1',
  CAIRN_ECS_VPC: 'vpc-1',
  CAIRN_ALB_LISTENER: 'arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/cairn/1/1',
  CAIRN_ALB_TEST_LISTENER: 'arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/cairn/1/2',
  CAIRN_MODEL_SERVER_IMAGE: 'registry.example/model-server:1',
  CAIRN_LOG_GROUP: 'cairn-models',
  CAIRN_FILES_URL: 'http://internal-cairn.us-east-1.elb.amazonaws.com:8081',
};
