import { type Duration, RemovalPolicy } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  Architecture,
  type Code,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { NODE_OPTIONS } from '../bundle.ts';
import type { Config } from '../config.ts';
import { allow, type Permission } from '../permissions/allow.ts';
import { grant } from '../permissions/grant.ts';
import { acknowledge } from './acknowledge.ts';

export interface CairnFunctionProps {
  readonly config: Config;
  readonly key: IKey;
  readonly code: Code;
  readonly description: string;
  readonly memoryMiB: number;
  readonly timeout: Duration;
  readonly environment: Readonly<Record<string, string>>;
  readonly permissions: readonly Permission[];
  readonly reservedConcurrency?: number | undefined;
}

/** One Lambda function with its own role, which has the given permissions and its own log group's, and no other. */
export class CairnFunction extends Construct {
  readonly function: LambdaFunction;

  constructor(scope: Construct, id: string, props: CairnFunctionProps) {
    super(scope, id);
    const { config } = props;
    const logGroup = new LogGroup(this, 'Logs', {
      encryptionKey: props.key,
      retention: config.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new Role(this, 'Role', {
      description: `Cairn: ${props.description}`,
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    });
    grant(role, [
      allow('OwnLogs', ['logs:CreateLogStream', 'logs:PutLogEvents'], [logGroup.logGroupArn], {
        wildcard: 'The group’s streams: a log group’s ARN ends so.',
      }),
      ...props.permissions,
    ]);
    if (config.tracing) {
      grant(role, [
        allow('Traces', ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'], ['*'], {
          wildcard: 'X-Ray’s writes take no resource.',
        }),
      ]);
    }
    this.function = new LambdaFunction(this, 'Function', {
      description: `Cairn: ${props.description}`,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      code: props.code,
      handler: 'index.handler',
      memorySize: props.memoryMiB,
      timeout: props.timeout,
      environment: { ...props.environment, NODE_OPTIONS },
      role: role.withoutPolicyUpdates(),
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      tracing: config.tracing ? Tracing.ACTIVE : Tracing.DISABLED,
      ...(props.reservedConcurrency === undefined
        ? {}
        : { reservedConcurrentExecutions: props.reservedConcurrency }),
    });
    acknowledge(this.function, {
      W3005: 'CDK has a function wait for its role by name as well.',
      CKV_AWS_116: 'Called by API Gateway or from a queue or topic that has dead letters of its own.',
      CKV_AWS_117:
        'It reaches AWS APIs only; inside a VPC it would need endpoints that cost money while idle.',
      CKV_AWS_115:
        'The account bounds it unless reservedConcurrency is set: a reservation takes from all other functions.',
      CKV_AWS_173:
        'The variables are names and addresses, no secrets; Lambda encrypts them with its own key.',
    });
  }
}
