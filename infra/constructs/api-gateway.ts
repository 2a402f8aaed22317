import { Aws, Duration, RemovalPolicy } from 'aws-cdk-lib';
import {
  AccessLogFormat,
  EndpointType,
  AccessLogField as field,
  LambdaIntegration,
  LogGroupLogDestination,
  MethodLoggingLevel,
  ResponseTransferMode,
  ResponseType,
  RestApi,
  SecurityPolicy,
} from 'aws-cdk-lib/aws-apigateway';
import { Certificate } from 'aws-cdk-lib/aws-certificatemanager';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import { LogGroup } from 'aws-cdk-lib/aws-logs';
import { ARecord, HostedZone, RecordTarget } from 'aws-cdk-lib/aws-route53';
import { ApiGateway as GatewayTarget } from 'aws-cdk-lib/aws-route53-targets';
import { Construct } from 'constructs';
import { ERRORS, type ErrorCode } from '../../shared/errors.ts';
import type { Config } from '../config.ts';
import { acknowledge } from './acknowledge.ts';

const STAGE = 'cairn';

/** The one door, throttled and logged; docs/decisions/0005-one-rest-api.md has why it is a REST API. */
export class ApiGateway extends Construct {
  readonly api: RestApi;
  /** Where clients reach it, without a slash at the end. */
  readonly url: string;
  readonly streaming: ResponseTransferMode;
  /** What the custom domain's name has to point to. */
  readonly domainTarget: string | undefined;

  constructor(scope: Construct, id: string, { config, key }: { config: Config; key: IKey }) {
    super(scope, id);
    const { customDomain, emulator, throttling } = config;
    this.streaming = emulator ? ResponseTransferMode.BUFFERED : ResponseTransferMode.STREAM;
    const logGroup = new LogGroup(this, 'AccessLogs', {
      encryptionKey: key,
      retention: config.logRetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.api = new RestApi(this, 'Api', {
      restApiName: 'cairn',
      description: 'Cairn',
      endpointTypes: [EndpointType.REGIONAL],
      binaryMediaTypes: ['*/*'],
      disableExecuteApiEndpoint: customDomain !== undefined,
      cloudWatchRole: true,
      cloudWatchRoleRemovalPolicy: emulator ? RemovalPolicy.DESTROY : RemovalPolicy.RETAIN,
      deployOptions: {
        stageName: STAGE,
        throttlingRateLimit: throttling.rate,
        throttlingBurstLimit: throttling.burst,
        tracingEnabled: config.tracing,
        loggingLevel: MethodLoggingLevel.OFF,
        accessLogDestination: new LogGroupLogDestination(logGroup),
        accessLogFormat: AccessLogFormat.custom(JSON.stringify(ACCESS_LOG)),
      },
      ...(customDomain
        ? {
            domainName: {
              domainName: customDomain.name,
              certificate: Certificate.fromCertificateArn(this, 'Certificate', customDomain.certificateArn),
              endpointType: EndpointType.REGIONAL,
              securityPolicy: SecurityPolicy.TLS_1_2,
            },
          }
        : {}),
    });
    this.api.node.tryRemoveChild('Endpoint');
    for (const refusal of REFUSALS) this.#refusal(...refusal);
    this.url = publicUrl(config, this.api);
    this.domainTarget = this.api.domainName?.domainNameAliasDomainName;
    if (customDomain?.hostedZone) {
      new ARecord(this, 'Alias', {
        zone: HostedZone.fromHostedZoneAttributes(this, 'Zone', {
          hostedZoneId: customDomain.hostedZone.id,
          zoneName: customDomain.hostedZone.name,
        }),
        recordName: `${customDomain.name}.`,
        target: RecordTarget.fromAlias(new GatewayTarget(this.api)),
      });
    }
    this.#acknowledge();
  }

  /** Everything that has no route of its own goes to this function, which authenticates by itself. */
  serve(handler: IFunction): void {
    const integration = new LambdaIntegration(handler, {
      allowTestInvoke: false,
      responseTransferMode: this.streaming,
      ...(this.streaming === ResponseTransferMode.STREAM ? { timeout: Duration.minutes(15) } : {}),
    });
    const methods = [
      this.api.root.addMethod('ANY', integration),
      this.api.root.addResource('{proxy+}').addMethod('ANY', integration),
    ];
    const own =
      'The function authenticates: git, MLflow and OCI clients need its 401 with WWW-Authenticate, and /healthz and the docs are open.';
    for (const method of methods) {
      acknowledge(method, { 'AwsSolutions-APIG4': own, 'AwsSolutions-COG4': own, CKV_AWS_59: own });
    }
  }

  #refusal(type: ResponseType, code: ErrorCode, headers: Record<string, string> = {}): void {
    const own = type === ResponseType.DEFAULT_4XX || type === ResponseType.DEFAULT_5XX;
    const { status } = ERRORS[code];
    const fix = type === ResponseType.REQUEST_TOO_LARGE ? IN_PARTS : ERRORS[code].fix;
    this.api.addGatewayResponse(type.responseType, {
      type,
      ...(own ? {} : { statusCode: String(status) }),
      responseHeaders: { 'Content-Type': "'application/problem+json'", ...headers },
      templates: {
        'application/json': `{"title":$context.error.messageString,${own ? '' : `"status":${status},`}"code":"${code}","detail":$context.error.messageString,"fix":${JSON.stringify(fix)},"requestId":"$context.requestId"}`,
      },
    });
  }

  #acknowledge(): void {
    acknowledge(this.api, {
      'AwsSolutions-APIG2':
        'The function validates requests by the schemas that the OpenAPI document is made from.',
      'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]':
        'AWS documents this managed policy as the one for API Gateway to write logs; the setting is one for the whole account and region.',
    });
    const noWaf =
      'Every request needs a token but those to /healthz, /version and the docs; a web ACL costs $5 a month while idle. Attach one to the stage where a policy asks for it.';
    const accessLog =
      'The access log has the errors; execution logs would go to a group that outlives the stack.';
    const noCache = 'Answers differ by caller and must be fresh; a cache costs $14 a month and more.';
    acknowledge(this.api.deploymentStage, {
      'AwsSolutions-APIG3': noWaf,
      'AwsSolutions-APIG6': accessLog,
      CKV_AWS_120: noCache,
      CKV_AWS_73: 'cairn:tracing turns X-Ray on.',
    });
  }
}

/** What a file sent at once is answered: a client shows it as it is. */
const IN_PARTS =
  'Send files by POST …/uploads (cairn push) or Git LFS, which take any size. MLflow’s client sends them in parts with MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD=true and MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE=4000000.';

/** The gateway's own refusals in the words of the error table; where it gives no status, the gateway's own stays. */
const REFUSALS: readonly (readonly [ResponseType, ErrorCode, Record<string, string>?])[] = [
  [ResponseType.UNAUTHORIZED, 'UNAUTHENTICATED', { 'WWW-Authenticate': "'Bearer'" }],
  [ResponseType.ACCESS_DENIED, 'PERMISSION_DENIED'],
  [ResponseType.THROTTLED, 'TOO_MANY_REQUESTS', { 'Retry-After': "'1'" }],
  [ResponseType.REQUEST_TOO_LARGE, 'TOO_LARGE'],
  [ResponseType.INTEGRATION_FAILURE, 'ENDPOINT_NOT_READY'],
  [ResponseType.INTEGRATION_TIMEOUT, 'ENDPOINT_NOT_READY'],
  [ResponseType.DEFAULT_4XX, 'INVALID_ARGUMENT'],
  [ResponseType.DEFAULT_5XX, 'INTERNAL'],
];

const ACCESS_LOG = {
  requestId: field.contextRequestId(),
  at: field.contextRequestTimeEpoch(),
  method: field.contextHttpMethod(),
  path: field.contextPath(),
  status: field.contextStatus(),
  bytes: field.contextResponseLength(),
  ms: field.contextResponseLatency(),
  integrationMs: field.contextIntegrationLatency(),
  principal: field.contextAuthorizerPrincipalId(),
  ip: field.contextIdentitySourceIp(),
  userAgent: field.contextIdentityUserAgent(),
  error: field.contextErrorMessage(),
  integrationError: field.contextIntegrationErrorMessage(),
};

/** The functions are told it, so it must not depend on the stage, which depends on them. */
function publicUrl({ customDomain, emulator }: Config, api: RestApi): string {
  if (customDomain) return `https://${customDomain.name}`;
  if (emulator) return `${emulator.url.replace(/\/$/, '')}/_aws/execute-api/${api.restApiId}/${STAGE}`;
  return `https://${api.restApiId}.execute-api.${Aws.REGION}.${Aws.URL_SUFFIX}/${STAGE}`;
}
