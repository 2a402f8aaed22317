import { join } from 'node:path';
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { Architecture, Function as LambdaFunction, LoggingFormat, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { bundledCode } from '../bundled-code.ts';
import type { Config } from '../config.ts';
import { acknowledge } from './acknowledge.ts';

export interface CairnFunctionProps {
  readonly config: Config;
  readonly key: IKey;
  /** Folder under functions/ that has `lambda.ts`. */
  readonly folder: string;
  readonly description: string;
  readonly memoryMiB: number;
  readonly timeout: Duration;
  readonly environment: Readonly<Record<string, string>>;
  readonly permissions: readonly PolicyStatement[];
  readonly reservedConcurrency?: number | undefined;
}

const FUNCTIONS = join(import.meta.dirname, '../../functions');

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
    role.addToPolicy(
      new PolicyStatement({
        sid: 'OwnLogs',
        actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
        resources: [logGroup.logGroupArn],
      }),
    );
    for (const statement of props.permissions) role.addToPolicy(statement);
    if (config.tracing) {
      role.addToPolicy(
        new PolicyStatement({
          sid: 'Traces',
          actions: ['xray:PutTraceSegments', 'xray:PutTelemetryRecords'],
          // X-Ray's write actions have no resource types.
          resources: ['*'],
        }),
      );
    }
    this.function = new LambdaFunction(this, 'Function', {
      description: `Cairn: ${props.description}`,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      code: bundledCode(join(FUNCTIONS, props.folder)),
      handler: 'index.handler',
      memorySize: props.memoryMiB,
      timeout: props.timeout,
      environment: { ...props.environment, NODE_OPTIONS: '--enable-source-maps' },
      role: role.withoutPolicyUpdates(),
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      tracing: config.tracing ? Tracing.ACTIVE : Tracing.DISABLED,
      ...(props.reservedConcurrency === undefined
        ? {}
        : { reservedConcurrentExecutions: props.reservedConcurrency }),
    });
    acknowledge(role, {
      'AwsSolutions-IAM5':
        'Resources end in * below a name that Cairn owns, or are * where the action takes no resource: each has its reason beside the statement, and test/infra/permissions.test.ts reads them all.',
    });
    acknowledge(this.function, {
      CKV_AWS_116: 'Called by API Gateway or from a queue or topic that has dead letters of its own.',
      CKV_AWS_117: 'It reaches AWS APIs only; inside a VPC it would need endpoints that cost money while idle.',
      CKV_AWS_115: 'The account bounds it unless reservedConcurrency is set: a reservation takes from all other functions.',
      CKV_AWS_173: 'The variables are names and addresses, no secrets; Lambda encrypts them with its own key.',
    });
  }
}
