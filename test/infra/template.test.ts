import { describe, expect, test } from 'vitest';
import { assembly, type Resource, resourcesOf, SERVING, synthesised } from './synthesised.ts';

const registry = synthesised();
const serving = synthesised(SERVING);

const one = (type: string): Resource => {
  const found = resourcesOf(serving, type);
  expect(found).toHaveLength(1);
  return found[0] as Resource;
};

test('the same configuration gives the same bytes', () => {
  expect(assembly(SERVING)).toEqual(assembly(SERVING));
});

describe('stored data', () => {
  test('the table is encrypted, on demand, restorable, protected, and forgets what expires', () => {
    const table = one('AWS::DynamoDB::Table');
    expect(table.DeletionPolicy).toBe('Retain');
    expect(table.Properties).toMatchObject({
      BillingMode: 'PAY_PER_REQUEST',
      DeletionProtectionEnabled: true,
      KeySchema: [
        { AttributeName: 'pk', KeyType: 'HASH' },
        { AttributeName: 'sk', KeyType: 'RANGE' },
      ],
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS' },
      TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
    });
  });

  test('both buckets are encrypted, versioned, closed to the public and to other sites, and clean up', () => {
    const buckets = resourcesOf(serving, 'AWS::S3::Bucket');
    expect(buckets).toHaveLength(2);
    for (const { DeletionPolicy, Properties } of buckets) {
      expect(DeletionPolicy).toBe('Retain');
      expect(Properties).toMatchObject({
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [
            { BucketKeyEnabled: true, ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' } },
          ],
        },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        VersioningConfiguration: { Status: 'Enabled' },
      });
      expect(Properties.CorsConfiguration).toBeUndefined();
      expect(Properties.LifecycleConfiguration.Rules).toContainEqual(
        expect.objectContaining({
          AbortIncompleteMultipartUpload: { DaysAfterInitiation: 8 },
          NoncurrentVersionExpiration: { NoncurrentDays: expect.any(Number) },
        }),
      );
    }
  });

  test.each(['AWS::S3::BucketPolicy', 'AWS::SQS::QueuePolicy', 'AWS::SNS::TopicPolicy'])(
    '%s refuses what does not come over TLS',
    (type) => {
      const policies = resourcesOf(serving, type);
      expect(policies).not.toHaveLength(0);
      for (const { Properties } of policies) {
        expect(Properties.PolicyDocument.Statement).toContainEqual(
          expect.objectContaining({
            Effect: 'Deny',
            Condition: { Bool: { 'aws:SecureTransport': 'false' } },
          }),
        );
      }
    },
  );

  test('buckets take no TLS below 1.2', () => {
    for (const { Properties } of resourcesOf(serving, 'AWS::S3::BucketPolicy')) {
      expect(Properties.PolicyDocument.Statement).toContainEqual(
        expect.objectContaining({ Effect: 'Deny', Condition: { NumericLessThan: { 's3:TlsVersion': 1.2 } } }),
      );
    }
  });

  test('the data key is new every year, and checkpoints are signed with Ed25519', () => {
    const keys = resourcesOf(serving, 'AWS::KMS::Key').map(({ Properties }) => Properties);
    expect(keys).toEqual([
      expect.objectContaining({ EnableKeyRotation: true }),
      expect.objectContaining({ KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' }),
    ]);
  });

  test('topics, secrets and logs are encrypted with the data key', () => {
    for (const { Properties } of resourcesOf(serving, 'AWS::SNS::Topic')) {
      expect(Properties.KmsMasterKeyId).toBeDefined();
    }
    for (const type of ['AWS::SecretsManager::Secret', 'AWS::Logs::LogGroup']) {
      for (const { Properties } of resourcesOf(serving, type)) expect(Properties.KmsKeyId).toBeDefined();
    }
  });

  test('a new object in the incoming bucket reaches the queue, and only buckets of the account may tell', () => {
    const [notified] = resourcesOf(serving, 'AWS::S3::Bucket').filter(
      ({ Properties }) => Properties.NotificationConfiguration,
    );
    expect(notified?.Properties.NotificationConfiguration).toEqual({
      QueueConfigurations: [{ Event: 's3:ObjectCreated:*', Queue: expect.anything() }],
    });
    const statements = resourcesOf(serving, 'AWS::SQS::QueuePolicy').flatMap(
      ({ Properties }) => Properties.PolicyDocument.Statement,
    );
    expect(statements).toContainEqual(
      expect.objectContaining({
        Principal: { Service: 's3.amazonaws.com' },
        Condition: { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } },
      }),
    );
  });
});

describe('functions', () => {
  const functions = resourcesOf(serving, 'AWS::Lambda::Function');

  test('run on Node 24 and ARM with a log group that forgets, and have their sources’ line numbers', () => {
    expect(functions).toHaveLength(8);
    for (const { Properties } of functions) {
      expect(Properties).toMatchObject({
        Runtime: 'nodejs24.x',
        Architectures: ['arm64'],
        Handler: 'index.handler',
        LoggingConfig: { LogGroup: { Ref: expect.any(String) } },
        Environment: { Variables: { NODE_OPTIONS: '--enable-source-maps' } },
      });
    }
    for (const { Properties } of resourcesOf(serving, 'AWS::Logs::LogGroup')) {
      expect(Properties.RetentionInDays).toBe(30);
    }
  });

  test('have a role each', () => {
    const roles = functions.map(({ Properties }) => JSON.stringify(Properties.Role));
    expect(new Set(roles).size).toBe(functions.length);
  });

  test('fail message by message, and what fails for good is kept', () => {
    const mappings = resourcesOf(serving, 'AWS::Lambda::EventSourceMapping');
    expect(mappings).toHaveLength(4);
    for (const { Properties } of mappings) {
      expect(Properties.FunctionResponseTypes).toEqual(['ReportBatchItemFailures']);
    }
    const queues = resourcesOf(serving, 'AWS::SQS::Queue');
    expect(queues.filter(({ Properties }) => Properties.RedrivePolicy)).toHaveLength(4);
    expect(one('AWS::SNS::Subscription').Properties.RedrivePolicy).toBeDefined();
    expect(one('AWS::Lambda::EventInvokeConfig').Properties.DestinationConfig.OnFailure).toBeDefined();
  });

  test('are told their settings, and no other name of ours', () => {
    const names = new Set(
      functions.flatMap(({ Properties }) => Object.keys(Properties.Environment.Variables)),
    );
    names.delete('NODE_OPTIONS');
    expect([...names].sort()).toEqual([
      'CAIRN_ADMIN_TOKEN_SECRET',
      'CAIRN_ALARM_TOPIC',
      'CAIRN_ALB_LISTENER',
      'CAIRN_ALB_TEST_LISTENER',
      'CAIRN_ECS_CLUSTER',
      'CAIRN_ECS_EXECUTION_ROLE',
      'CAIRN_ECS_INFRASTRUCTURE_ROLE',
      'CAIRN_ECS_SECURITY_GROUP',
      'CAIRN_ECS_SUBNETS',
      'CAIRN_ECS_TASK_ROLE',
      'CAIRN_ECS_VPC',
      'CAIRN_EVENT_TOPIC',
      'CAIRN_FILES_URL',
      'CAIRN_INCOMING_BUCKET',
      'CAIRN_KMS_DATA_KEY',
      'CAIRN_KMS_SIGNING_KEY',
      'CAIRN_LOG_GROUP',
      'CAIRN_MODEL_BUCKET',
      'CAIRN_MODEL_SERVER_IMAGE',
      'CAIRN_PUBLIC_URL',
      'CAIRN_RECONCILE_QUEUE_URL',
      'CAIRN_TABLE',
      'CAIRN_VERIFY_QUEUE_URL',
      'CAIRN_WEBHOOK_QUEUE_URL',
    ]);
  });
});

test.each(['build', 'registry.example/python-server:1'])('the image for Python models is %s', (image) => {
  const stacks = synthesised({
    ...SERVING,
    'cairn:pythonServerImage': image,
    'cairn:pythonIndex': 'https://index.example/simple',
  });
  const told = resourcesOf(stacks, 'AWS::Lambda::Function').map(
    ({ Properties }) => Properties.Environment?.Variables ?? {},
  );
  const given = told.filter((variables) => 'CAIRN_PYTHON_SERVER_IMAGE' in variables);
  expect(given.length).toBeGreaterThan(1);
  for (const variables of given) {
    expect(variables.CAIRN_PYTHON_INDEX).toBe('https://index.example/simple');
    if (image === 'build') expect(JSON.stringify(variables.CAIRN_PYTHON_SERVER_IMAGE)).toContain('.dkr.ecr.');
    else expect(variables.CAIRN_PYTHON_SERVER_IMAGE).toBe(image);
  }
});

describe('the door', () => {
  test('is throttled and logs each request', () => {
    expect(one('AWS::ApiGateway::Stage').Properties).toMatchObject({
      StageName: 'cairn',
      AccessLogSetting: { Format: expect.stringContaining('$context.requestId') },
      MethodSettings: [{ ThrottlingRateLimit: 200, ThrottlingBurstLimit: 400 }],
    });
  });

  test('streams every answer', () => {
    const methods = resourcesOf(serving, 'AWS::ApiGateway::Method');
    expect(methods).toHaveLength(3);
    for (const { Properties } of methods) expect(Properties.Integration.ResponseTransferMode).toBe('STREAM');
  });

  test('lets a request through to an endpoint only past the authorizer, by the VPC link, without the token', () => {
    const methods = resourcesOf(serving, 'AWS::ApiGateway::Method');
    const [endpoints] = methods.filter(({ Properties }) => Properties.Integration.Type === 'HTTP_PROXY');
    expect(endpoints?.Properties).toMatchObject({
      AuthorizationType: 'CUSTOM',
      Integration: {
        ConnectionType: 'VPC_LINK',
        IntegrationTarget: { Ref: expect.any(String) },
        RequestParameters: { 'integration.request.header.Authorization': "'removed'" },
      },
    });
    expect(one('AWS::ApiGateway::Authorizer').Properties).toMatchObject({
      Type: 'REQUEST',
      AuthorizerResultTtlInSeconds: 60,
      IdentitySource: 'method.request.header.Authorization,context.path',
    });
  });

  test('refuses in problem documents, and a client without a token learns how to send one', () => {
    const answers = resourcesOf(serving, 'AWS::ApiGateway::GatewayResponse').map(
      ({ Properties }) => Properties,
    );
    for (const { ResponseParameters, ResponseTemplates } of answers) {
      expect(ResponseParameters).toMatchObject({
        'gatewayresponse.header.Content-Type': "'application/problem+json'",
      });
      const filled = ResponseTemplates['application/json'].replaceAll(
        '$context.error.messageString',
        '"why"',
      );
      expect(JSON.parse(filled)).toMatchObject({ title: 'why', requestId: '$context.requestId' });
    }
    // MLflow's client shows the answer as it is.
    expect(answers.find(({ ResponseType }) => ResponseType === 'REQUEST_TOO_LARGE')).toMatchObject({
      StatusCode: '413',
      ResponseTemplates: {
        'application/json': expect.stringContaining('MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD=true'),
      },
    });
    expect(answers).toContainEqual(
      expect.objectContaining({
        ResponseType: 'UNAUTHORIZED',
        ResponseParameters: expect.objectContaining({
          'gatewayresponse.header.WWW-Authenticate': "'Bearer'",
        }),
      }),
    );
  });
});

describe('what costs money while idle', () => {
  const types = (templates: typeof registry) =>
    new Set(
      Object.values(templates).flatMap(({ Resources }) => Object.values(Resources).map(({ Type }) => Type)),
    );

  test('is made for serving only', () => {
    const only = [...types(serving)].filter((type) => !types(registry).has(type)).sort();
    expect(only).toEqual([
      'AWS::ApiGateway::Authorizer',
      'AWS::ApiGatewayV2::VpcLink',
      'AWS::EC2::FlowLog',
      'AWS::EC2::RouteTable',
      'AWS::EC2::SecurityGroup',
      'AWS::EC2::Subnet',
      'AWS::EC2::SubnetRouteTableAssociation',
      'AWS::EC2::VPC',
      'AWS::EC2::VPCEndpoint',
      'AWS::ECS::Cluster',
      'AWS::ElasticLoadBalancingV2::Listener',
      'AWS::ElasticLoadBalancingV2::LoadBalancer',
      'AWS::ElasticLoadBalancingV2::TargetGroup',
      // The controller's permissions are more than one inline policy holds.
      'AWS::IAM::ManagedPolicy',
      'AWS::Lambda::EventInvokeConfig',
      'AWS::SNS::Subscription',
    ]);
  });

  test('has neither NAT nor a way to the internet', () => {
    for (const type of [
      'AWS::EC2::NatGateway',
      'AWS::EC2::InternetGateway',
      'AWS::EC2::EIP',
      'AWS::EC2::Route',
    ]) {
      expect(resourcesOf(serving, type)).toEqual([]);
    }
    expect(one('AWS::ElasticLoadBalancingV2::LoadBalancer').Properties.Scheme).toBe('internal');
  });

  test('is not made by what endpoints do: no service, task, rule or target group of theirs is in the template', () => {
    for (const type of [
      'AWS::ECS::Service',
      'AWS::ECS::TaskDefinition',
      'AWS::ElasticLoadBalancingV2::ListenerRule',
    ]) {
      expect(resourcesOf(serving, type)).toEqual([]);
    }
    expect(one('AWS::ElasticLoadBalancingV2::TargetGroup').Properties.TargetType).toBe('lambda');
  });

  test('tasks reach the files’ door and what has HTTPS, and nothing of each other', () => {
    const groups = resourcesOf(serving, 'AWS::EC2::SecurityGroup');
    const task = groups.find(({ Properties }) => Properties.GroupDescription === 'Cairn: model servers');
    const ports = ({ FromPort }: { FromPort: number }) => FromPort;
    expect(task?.Properties.SecurityGroupEgress.map(ports)).toEqual([443, 8081]);
    const listener = resourcesOf(serving, 'AWS::ElasticLoadBalancingV2::Listener').find(
      ({ Properties }) => Properties.Port === 8081,
    );
    expect(listener?.Properties.DefaultActions).toMatchObject([{ Type: 'forward' }]);
  });
});

test('a restored table takes the place of the other, and only what uses it changes', () => {
  const restored = synthesised({ 'cairn:restoredTable': 'back' });
  expect(restored.CairnData).toEqual(registry.CairnData);
  for (const { Properties } of resourcesOf(restored, 'AWS::Lambda::Function')) {
    expect(Properties.Environment.Variables.CAIRN_TABLE).toBe('back');
  }
  expect(JSON.stringify(restored.Cairn)).not.toContain('MetadataTable');
});

test('outputs keep their names', () => {
  const names = (templates: typeof registry) =>
    Object.values(templates)
      .flatMap(({ Outputs }) => Object.keys(Outputs))
      .filter((name) => !name.startsWith('ExportsOutput'))
      .sort();
  const always = [
    'AdminTokenSecret',
    'ApiUrl',
    'EventTopic',
    'IncomingBucket',
    'ModelBucket',
    'OperationsTopic',
    'SigningKey',
    'Table',
  ];
  expect(names(registry)).toEqual(always);
  expect(names(serving)).toEqual([...always, 'Cluster', 'LoadBalancer'].sort());
});

test('what holds data keeps its logical name, so that an update never replaces it', () => {
  const stateful = [
    'AWS::DynamoDB::Table',
    'AWS::KMS::Key',
    'AWS::S3::Bucket',
    'AWS::SecretsManager::Secret',
  ];
  const names = Object.entries(serving.CairnData?.Resources ?? {})
    .filter(([, { Type }]) => stateful.includes(Type))
    .map(([name]) => name);
  expect(names).toEqual([
    'KeysDataA2F7C5E6',
    'KeysSigningD455BFD1',
    'MetadataTableC8A01DE2',
    'ModelsBucket970C6ADA',
    'IncomingFilesBucket1BA4910C',
    'AdminTokenSecret9A53E880',
  ]);
});

test('Cairn’s own alarms tell the operations topic', () => {
  const alarms = resourcesOf(serving, 'AWS::CloudWatch::Alarm').map(({ Properties }) => Properties);
  expect(alarms.map(({ AlarmName }) => AlarmName).sort()).toEqual([
    'cairn-operations-api-5xx',
    'cairn-operations-balancer-502',
    'cairn-operations-balancer-504',
    'cairn-operations-dead-letters-alarms',
    'cairn-operations-dead-letters-incoming',
    'cairn-operations-dead-letters-reconcile',
    'cairn-operations-dead-letters-verify',
    'cairn-operations-dead-letters-webhooks',
    'cairn-operations-errors-api',
    'cairn-operations-errors-authorizer',
    'cairn-operations-errors-deliverWebhook',
    'cairn-operations-errors-onAlarm',
    'cairn-operations-errors-reconcile',
    'cairn-operations-errors-registerUpload',
    'cairn-operations-errors-revisionFiles',
    'cairn-operations-errors-verifyUpload',
    'cairn-operations-throttles',
  ]);
  for (const { AlarmActions } of alarms) expect(AlarmActions).toHaveLength(1);
});
