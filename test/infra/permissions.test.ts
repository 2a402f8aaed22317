import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundle, type FunctionName } from '../../infra/bundle.ts';
import { TABLE_RULES } from '../../infra/permissions/table-rules.ts';
import { SERVING, synthesised, type Template } from './synthesised.ts';

const { CairnData, Cairn } = synthesised({ ...SERVING, 'cairn:tracing': true });

interface Statement {
  readonly Sid: string;
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: unknown;
  readonly Condition?: unknown;
}

const list = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);

/** The statements of each role, by its logical name, whose hash is left off. */
function statementsOf({ Resources }: Template): Record<string, Statement[]> {
  const all: Record<string, Statement[]> = {};
  for (const { Type, Properties } of Object.values(Resources)) {
    // What is too long for a role's own policies goes into managed ones.
    if (!['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'].includes(Type)) continue;
    for (const { Ref } of Properties.Roles) {
      const name = Ref.replace(/Role[0-9A-F]{8}$/, '').replace(/[0-9A-F]{8}$/, '');
      all[name] = [...(all[name] ?? []), ...Properties.PolicyDocument.Statement];
    }
  }
  return all;
}

const roles = { ...statementsOf(CairnData as Template), ...statementsOf(Cairn as Template) };

/** Functions' roles, by the folder that their code is in. */
const FOLDERS: Readonly<Record<string, FunctionName>> = {
  FunctionsApi: 'api',
  FunctionsDeliverWebhook: 'deliver-webhook',
  FunctionsRegisterUpload: 'register-upload',
  FunctionsVerifyUpload: 'verify-upload',
  FunctionsReconcile: 'reconcile',
  FunctionsOnAlarm: 'on-alarm',
  FunctionsAuthorizer: 'authorizer',
  FunctionsRevisionFiles: 'revision-files',
};

/** Actions that AWS takes on behalf of a function or task: no code of ours calls them by that name. */
const BY_AWS: Readonly<Record<string, string>> = {
  'logs:CreateLogStream': 'Lambda and the log driver of tasks write logs',
  'logs:PutLogEvents': 'Lambda and the log driver of tasks write logs',
  'xray:PutTraceSegments': 'Lambda sends traces',
  'xray:PutTelemetryRecords': 'Lambda sends traces',
  'sqs:ReceiveMessage': 'Lambda’s poller takes messages with the role of the function',
  'sqs:DeleteMessage': 'Lambda’s poller takes messages with the role of the function',
  'sqs:GetQueueAttributes': 'Lambda’s poller takes messages with the role of the function',
  'kms:Decrypt': 'DynamoDB, S3, SNS and Secrets Manager use the data key for the caller',
  'kms:GenerateDataKey': 'S3 and SNS use the data key for the caller',
};

/** Actions that are authorised under another name than that of the call; the commands that need each. */
const NEEDED_BY: Readonly<Record<string, readonly string[]>> = {
  'dynamodb:PutItem': ['TransactWriteItems'],
  'dynamodb:DeleteItem': ['TransactWriteItems'],
  'dynamodb:ConditionCheckItem': ['TransactWriteItems'],
  's3:GetObject': ['GetObject', 'HeadObject', 'CopyObject', 'UploadPartCopy'],
  's3:GetObjectVersion': ['GetObject', 'HeadObject', 'CopyObject', 'UploadPartCopy'],
  's3:PutObject': [
    'PutObject',
    'CopyObject',
    'CreateMultipartUpload',
    'UploadPart',
    'UploadPartCopy',
    'CompleteMultipartUpload',
  ],
  's3:DeleteObject': ['DeleteObject', 'DeleteObjects'],
  's3:ListBucket': ['ListObjectsV2', 'HeadObject'],
  's3:ListMultipartUploadParts': ['ListParts'],
  'iam:PassRole': ['RegisterTaskDefinition', 'CreateService'],
  'iam:CreateServiceLinkedRole': ['RegisterScalableTarget'],
  'ecs:TagResource': ['RegisterTaskDefinition', 'CreateService', 'TagResource'],
  'elasticloadbalancing:AddTags': ['CreateTargetGroup', 'CreateRule'],
  'sqs:SendMessage': ['SendMessage', 'SendMessageBatch'],
};

const everyStatement = Object.entries(roles).flatMap(([role, statements]) =>
  statements.map((statement) => ({ role, ...statement })),
);

test('there are statements to read', () => {
  expect(everyStatement.length).toBeGreaterThan(50);
  expect(Object.keys(roles)).toEqual(expect.arrayContaining(Object.keys(FOLDERS)));
});

test('no role has an action with a *, and a * alone is the resource only of actions that take none', () => {
  const WITHOUT_RESOURCE = [
    'cloudwatch:GetMetricData',
    'cloudwatch:PutMetricData',
    'ecr:GetAuthorizationToken',
    'ecs:DeregisterTaskDefinition',
    'ecs:DescribeTaskDefinition',
    'ecs:ListServices',
    'ecs:ListTaskDefinitionFamilies',
    'ecs:ListTaskDefinitions',
    'ecs:ListTasks',
    'elasticloadbalancing:DescribeListeners',
    'elasticloadbalancing:DescribeRules',
    'elasticloadbalancing:DescribeTargetGroups',
    'elasticloadbalancing:DescribeTargetHealth',
    'xray:PutTelemetryRecords',
    'xray:PutTraceSegments',
  ];
  for (const { role, Sid, Effect, Action, Resource } of everyStatement) {
    expect(Effect).toBe('Allow');
    for (const action of list(Action)) {
      expect(action, `${role} ${Sid}`).not.toContain('*');
      if (list(Resource).includes('*')) expect(WITHOUT_RESOURCE, `${role} ${Sid}`).toContain(action);
    }
  }
});

test('a model server may do nothing', () => {
  expect(
    Object.keys(roles)
      .filter((role) => role.startsWith('ServingRoles'))
      .sort(),
  ).toEqual(['ServingRolesExecution', 'ServingRolesInfrastructure']);
});

describe('a function reaches the partitions of the table that its tests hold it to', () => {
  test.each(Object.entries(FOLDERS))('%s', (role, folder) => {
    const ofTable = (roles[role] ?? [])
      .filter(({ Action }) => list(Action).some((action) => action.startsWith('dynamodb:')))
      .map(({ Action, Condition }) => ({ actions: list(Action), condition: Condition }));
    expect(ofTable).toEqual(
      TABLE_RULES[folder].map(({ actions, only, not }) => ({
        actions: actions.map((action) => `dynamodb:${action}`),
        condition: only
          ? { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': only } }
          : not && { 'ForAllValues:StringNotLike': { 'dynamodb:LeadingKeys': not } },
      })),
    );
  });

  test('which for three of them are few', () => {
    expect(TABLE_RULES).toMatchObject({
      authorizer: [{ actions: ['GetItem'], only: ['tokens'] }],
      'deliver-webhook': [
        {},
        { only: ['webhook-outbox', 'webhook-deliveries/*'] },
        { actions: ['ConditionCheckItem'] },
      ],
      'revision-files': [{ only: ['endpoint/*', 'files/*'] }],
    });
  });

  test('and only the API changes tokens', () => {
    const changes = Object.entries(TABLE_RULES).filter(([, rules]) =>
      rules.some(
        ({ actions, only, not = [] }) =>
          actions.includes('PutItem') &&
          (only === undefined || only.includes('tokens')) &&
          !not.includes('tokens'),
      ),
    );
    expect(changes.map(([name]) => name)).toEqual(['api']);
  });
});

/** What comes along in a bundle with the adapter of a port that the function uses one half of, or does not use at all. */
const NEVER_CALLED: Readonly<Record<FunctionName, RegExp>> = {
  api: /^(application-autoscaling|ecs|elasticloadbalancing):|^cloudwatch:(Put|Delete)/,
  'register-upload': /^kms:(Sign|Verify)$|^secretsmanager:/,
  'verify-upload': /^kms:(Sign|Verify)$/,
  reconcile: /^logs:/,
  'on-alarm': /^logs:|^kms:Verify$/,
  'deliver-webhook': /^(s3|sns):|^kms:(Sign|Verify|GenerateDataKey)$/,
  authorizer: /^(kms|s3|sns|sqs):|^dynamodb:(Put|Delete|TransactWrite|BatchGet|Query)/,
  'revision-files':
    /^(sns|sqs):|^kms:(Sign|GenerateDataKey)$|^dynamodb:(Put|Delete|TransactWrite|Query)|^s3:(Put|Delete|List|Upload|\w+Multipart)/,
};
/** The SDK's own, for directory buckets and endpoint discovery: neither is used. */
const BY_SDK = ['s3:CreateSession', 'dynamodb:DescribeEndpoints'];

/** How IAM calls the services whose clients are called otherwise. */
const SERVICES: Readonly<Record<string, string>> = {
  'application-auto-scaling': 'application-autoscaling',
  'cloudwatch-logs': 'logs',
  'elastic-load-balancing-v2': 'elasticloadbalancing',
  'secrets-manager': 'secretsmanager',
};

interface Call {
  readonly service: string;
  readonly command: string;
}

describe('a function may do what its code calls, and nothing else', () => {
  const calls: Partial<Record<FunctionName, Call[]>> = {};

  beforeAll(async () => {
    const outdir = mkdtempSync(join(tmpdir(), 'cairn-bundles-'));
    try {
      for (const folder of Object.values(FOLDERS)) calls[folder] = await callsIn(folder, outdir);
    } finally {
      rmSync(outdir, { recursive: true });
    }
  });

  const allowed = (role: string) => (roles[role] ?? []).flatMap(({ Action }) => list(Action));

  test.each(Object.entries(FOLDERS))('%s: nothing else', (role, folder) => {
    const idle = allowed(role)
      .filter((action) => !(action in BY_AWS))
      .filter((action) => !calls[folder]?.some((call) => actionsOf(call).includes(action)));
    expect(idle).toEqual([]);
  });

  test.each(Object.entries(FOLDERS))('%s: all of it', (role, folder) => {
    const granted = allowed(role);
    const refused = (calls[folder] ?? [])
      .filter((call) => !actionsOf(call).some((action) => granted.includes(action)))
      .map(({ service, command }) => `${service}:${command}`);
    expect(refused.filter((call) => !BY_SDK.includes(call) && !NEVER_CALLED[folder].test(call))).toEqual([]);
  });
});

/** The actions that a call may be authorised by. */
function actionsOf({ service, command }: Call): string[] {
  const others = Object.entries(NEEDED_BY).flatMap(([action, commands]) =>
    commands.includes(command) ? [action] : [],
  );
  return [`${service}:${command}`, ...others];
}

/** The SDK commands that are left in a function's bundle after what it cannot reach is shaken off. */
async function callsIn(name: FunctionName, outdir: string): Promise<Call[]> {
  const { metafile } = await bundle(name, join(outdir, name));
  const found = new Map<string, Call>();
  for (const { inputs } of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const [, client = '', command] =
        /@aws-sdk\/client-([^/]+)\/.*\/commands\/(\w+)Command\.js$/.exec(path) ?? [];
      if (command === undefined || bytesInOutput === 0) continue;
      found.set(path, { service: SERVICES[client] ?? client, command });
    }
  }
  return [...found.values()];
}
