import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundle, type FunctionName } from '../../infra/bundle.ts';
import { SERVING, synthesised, type Template } from './synthesised.ts';

const { CairnData, Cairn } = synthesised({ ...SERVING, 'cairn:tracing': true });

interface Statement {
  readonly Sid: string;
  readonly Effect: string;
  readonly Action: string | string[];
  readonly Resource: unknown;
}

const list = <T>(value: T | T[]): T[] => (Array.isArray(value) ? value : [value]);

/** The statements of each role, by its logical name, whose hash is left off. */
function statementsOf({ Resources }: Template): Record<string, Statement[]> {
  const all: Record<string, Statement[]> = {};
  for (const { Type, Properties } of Object.values(Resources)) {
    if (Type !== 'AWS::IAM::Policy') continue;
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
  's3:PutObject': ['PutObject', 'CopyObject', 'CreateMultipartUpload', 'UploadPart', 'UploadPartCopy'],
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

describe('a function may do what its code calls, and nothing else', () => {
  const commands: Record<string, Set<string>> = {};

  beforeAll(async () => {
    const outdir = mkdtempSync(join(tmpdir(), 'cairn-bundles-'));
    try {
      for (const folder of Object.values(FOLDERS)) commands[folder] = await commandsIn(folder, outdir);
    } finally {
      rmSync(outdir, { recursive: true });
    }
  });

  test.each(Object.entries(FOLDERS))('%s', (role, folder) => {
    const idle = (roles[role] ?? [])
      .flatMap(({ Action }) => list(Action))
      .filter((action) => !(action in BY_AWS))
      .filter((action) => {
        const names = NEEDED_BY[action] ?? [action.slice(action.indexOf(':') + 1)];
        return !names.some((name) => commands[folder]?.has(name));
      });
    expect(idle).toEqual([]);
  });
});

/** The SDK commands that are left in a function's bundle after what it cannot reach is shaken off. */
async function commandsIn(name: FunctionName, outdir: string): Promise<Set<string>> {
  const { metafile } = await bundle(name, join(outdir, name));
  const found = new Set<string>();
  for (const { inputs } of Object.values(metafile.outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const [, command] = /@aws-sdk\/client-[^/]+\/.*\/commands\/(\w+)Command\.js$/.exec(path) ?? [];
      if (command !== undefined && bytesInOutput > 0) found.add(command);
    }
  }
  return found;
}
