import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudWatchClient, type MetricDatum, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import {
  CloudWatchLogsClient,
  DescribeLogGroupsCommand,
  FilterLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { DescribeTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { ECSClient, ListTaskDefinitionFamiliesCommand } from '@aws-sdk/client-ecs';
import {
  DescribeTargetGroupsCommand,
  ElasticLoadBalancingV2Client,
  RegisterTargetsCommand,
} from '@aws-sdk/client-elastic-load-balancing-v2';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadBucketCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import {
  GetQueueAttributesCommand,
  ListQueuesCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';
import { buildImage } from '../../tools/container-image.ts';
import { type InstalledCli, installCli } from '../cli/harness.ts';
import { testSet } from '../functions/model-server/digits-data.ts';
import { deployed, type Installation } from './aws-cdk.ts';
import { type Ministack, type MinistackAccount, startMinistack } from './aws-ministack.ts';
import { type DockerEngine, dockerEngine } from './docker-engine.ts';

/** The stacks as a user deploys them, with everything that they have, in an emulator of AWS whose tasks are containers. */

const DIGITS = join(import.meta.dirname, '../models/digits');
const IMAGE = 'cairn-model-server:deployed-test';
const SERVING = { 'cairn:serving': true, 'cairn:modelServerImage': IMAGE };
/** Functions start one after the other there, and the controller looks every ten seconds. */
const SOON = { timeout: 120_000, interval: 500 };

let engine: DockerEngine;
let ministack: Ministack;
let cairn: Installation;
let cli: InstalledCli;
let dir: string;
let url: string;
let token: string;

let config: MinistackAccount;
let s3: ReturnType<typeof openS3Client>;
let sqs: SQSClient;
let logs: CloudWatchLogsClient;
let balancing: ElasticLoadBalancingV2Client;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cairn-deployed-'));
  engine = await dockerEngine();
  vi.stubEnv('DOCKER_HOST', engine.host);
  await buildImage('model-server', IMAGE);
  ministack = await startMinistack({ DOCKER_HOST: engine.host }, engine.gateway);
  config = ministack.publicAccount;
  s3 = openS3Client({ ...config, pathStyle: true });
  sqs = new SQSClient(config);
  logs = new CloudWatchLogsClient(config);
  cairn = await deployed(config, SERVING);
  balancing = new ElasticLoadBalancingV2Client(config);
  await openFilesDoor();
  url = cairn.outputs.Cairn.ApiUrl ?? '';
  const secret = await new SecretsManagerClient(config).send(
    new GetSecretValueCommand({ SecretId: cairn.outputs.CairnData.AdminTokenSecret }),
  );
  token = secret.SecretString ?? '';
  cli = await installCli(() => ({ NO_COLOR: '1' }));
});

afterAll(async () => {
  await cli?.remove();
  await cairn?.remove();
  await ministack?.close();
  await engine?.docker('rmi', '--force', IMAGE);
  await engine?.close();
  await rm(dir, { recursive: true, force: true });
});

/** Registers the function behind the files' door, as the template says: the emulator makes target groups without targets. */
async function openFilesDoor(): Promise<void> {
  const { TargetGroups = [] } = await balancing.send(new DescribeTargetGroupsCommand({}));
  const [door] = TargetGroups.filter(({ TargetType }) => TargetType === 'lambda');
  const answer = await fetch(`${config.endpoint}/2015-03-31/functions`);
  const { Functions } = (await answer.json()) as { Functions: { FunctionArn: string }[] };
  const [Id] = Functions.flatMap(({ FunctionArn: arn }) => (arn.includes('RevisionFiles') ? [arn] : []));
  await balancing.send(
    new RegisterTargetsCommand({ TargetGroupArn: door?.TargetGroupArn, Targets: [{ Id }] }),
  );
}

async function queueUrl(prefix: string): Promise<string> {
  const { QueueUrls = [] } = await sqs.send(new ListQueuesCommand({ QueueNamePrefix: prefix }));
  const [found] = QueueUrls.filter((one) => !one.includes('DeadLetters'));
  if (found === undefined) throw new Error(`no queue ${prefix}`);
  return found;
}

const send = async (prefix: string, body: unknown) => {
  const QueueUrl = await queueUrl(prefix);
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify(body) }));
};

/** Messages in the queue, taken or not. */
async function messagesIn(prefix: string): Promise<number> {
  const { Attributes = {} } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl: await queueUrl(prefix), AttributeNames: ['All'] }),
  );
  return (
    Number(Attributes.ApproximateNumberOfMessages) + Number(Attributes.ApproximateNumberOfMessagesNotVisible)
  );
}

/** The JSON lines that a function wrote. */
async function linesOf(name: string): Promise<Record<string, unknown>[]> {
  const { logGroups = [] } = await logs.send(new DescribeLogGroupsCommand({}));
  const group = logGroups.find(({ logGroupName }) => logGroupName?.includes(`Functions${name}Logs`));
  const { events = [] } = await logs.send(new FilterLogEventsCommand({ logGroupName: group?.logGroupName }));
  return events.flatMap(({ message = '' }) => (message.startsWith('{') ? [JSON.parse(message)] : []));
}

const drop = async (Key: string, Body: string | Uint8Array) =>
  s3.send(new PutObjectCommand({ Bucket: cairn.outputs.CairnData.IncomingBucket, Key, Body }));

async function versionsOf(model: string): Promise<unknown[]> {
  const answer = await fetch(`${url}/api/v1/workspaces/default/models/${model}/versions`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return answer.ok ? ((await answer.json()) as { items: unknown[] }).items : [];
}

test('the first admin token opens the deployed API, and no other does', async () => {
  const login = await cli.run(['login', url, '--token', '-'], { stdin: token });
  expect([login.status, login.stderr]).toEqual([0, expect.not.stringContaining('rror')]);
  const refused = await fetch(`${url}/api/v1/whoami`, { headers: { authorization: 'Bearer no-such-token' } });
  expect([refused.status, refused.headers.get('www-authenticate')]).toEqual([
    401,
    expect.stringContaining('Basic'),
  ]);
  expect(await refused.json()).toMatchObject({
    code: 'UNAUTHENTICATED',
    requestId: refused.headers.get('x-request-id'),
  });
});

test('a pushed folder comes back byte by byte, 100 MB of it in parts', async () => {
  const folder = join(dir, 'digits');
  await mkdir(join(folder, 'data'), { recursive: true });
  await copyFile(join(DIGITS, 'digits-v1.onnx'), join(folder, 'digits-v1.onnx'));
  await writeFile(join(folder, 'data/ünï code+1.txt'), 'text');
  await writeFile(join(folder, 'empty'), '');
  await writeFile(join(folder, 'large.bin'), randomBytes(100_000_000));
  const pushed = await cli.json(['push', folder, 'digits', '--message', 'first']);
  expect(pushed).toMatchObject({ version: 1, status: 'READY', fileCount: 4, format: 'onnx' });

  const pulled = join(dir, 'pulled');
  await cli.json(['pull', 'digits@1', pulled]);
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((file) =>
    file.isFile(),
  );
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name);
    expect((await readFile(path)).equals(await readFile(path.replace(folder, pulled))), name).toBe(true);
  }
});

test('aliases move, and links in answers lead back through the stage', async () => {
  await cli.json(['push', join(DIGITS, 'digits-v2.onnx'), 'digits']);
  await cli.json(['alias', 'digits', 'champion', '1']);
  await cli.json(['alias', 'digits', 'champion', '2']);
  expect(await cli.json(['show', 'digits@champion'])).toMatchObject({ version: 2, status: 'READY' });
  const made = await fetch(`${url}/api/v1/workspaces/default/models`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'model with space & ümlaut+1' }),
  });
  const location = new URL(made.headers.get('location') ?? '', url);
  const followed = await fetch(location, { headers: { authorization: `Bearer ${token}` } });
  expect([made.status, followed.status, ((await followed.json()) as { name: string }).name]).toEqual([
    201,
    200,
    'model with space & ümlaut+1',
  ]);
});

test('what is dropped in the bucket becomes a version, once, and is taken away', async () => {
  const dropped = await drop(
    'default/dropped/digits v1+2.onnx',
    await readFile(join(DIGITS, 'digits-v1.onnx')),
  );
  await drop('default/zero/empty.bin', '');
  await drop('default/run/2026 11/a+b.txt', 'a');
  await drop('default/run/2026 11/sub/c.txt', 'c');
  await drop('default/run/2026 11/_SUCCESS', '');
  await dropInParts('default/parts/large.bin');
  await drop('default/broken/model.onnx', 'this is no ONNX');
  for (const model of ['dropped', 'zero', 'run', 'parts']) {
    await expect.poll(() => versionsOf(model), SOON).toHaveLength(1);
  }
  expect(await cli.json(['show', 'run@1'])).toMatchObject({
    files: [{ path: 'a+b.txt' }, { path: 'sub/c.txt' }],
  });
  expect(await cli.json(['show', 'dropped@1'])).toMatchObject({ files: [{ path: 'digits v1+2.onnx' }] });
  expect(await cli.json(['show', 'zero@1'])).toMatchObject({ files: [{ size: 0 }] });
  expect(await cli.json(['show', 'parts@1'])).toMatchObject({ files: [{ size: 6 * 1024 * 1024 }] });

  // S3 may tell of an object again.
  for (let times = 0; times < 3; times++) {
    await send('CairnData-IncomingArrivalsQueue', {
      Records: [
        {
          eventName: 'ObjectCreated:Put',
          s3: {
            bucket: { name: cairn.outputs.CairnData.IncomingBucket },
            object: {
              key: 'default/dropped/digits+v1%2B2.onnx',
              versionId: dropped.VersionId,
              eTag: dropped.ETag?.replaceAll('"', ''),
            },
          },
        },
      ],
    });
  }
  await expect.poll(() => messagesIn('CairnData-IncomingArrivalsQueue'), SOON).toBe(0);
  expect(await versionsOf('dropped')).toHaveLength(1);
  const left = await s3.send(new ListObjectsV2Command({ Bucket: cairn.outputs.CairnData.IncomingBucket }));
  expect(left.Contents?.map(({ Key }) => Key)).toEqual(['default/broken/model.onnx']);
  expect(await linesOf('RegisterUpload')).toContainEqual(
    expect.objectContaining({ key: 'default/broken/model.onnx', code: 'MODEL_FILE_INVALID', level: 'WARN' }),
  );
});

async function dropInParts(Key: string): Promise<void> {
  const object = { Bucket: cairn.outputs.CairnData.IncomingBucket, Key };
  const { UploadId } = await s3.send(new CreateMultipartUploadCommand(object));
  const Parts = [];
  for (const [index, size] of [5, 1].entries()) {
    const PartNumber = index + 1;
    const Body = randomBytes(size * 1024 * 1024);
    const { ETag } = await s3.send(new UploadPartCommand({ ...object, UploadId, PartNumber, Body }));
    Parts.push({ PartNumber, ETag });
  }
  await s3.send(new CompleteMultipartUploadCommand({ ...object, UploadId, MultipartUpload: { Parts } }));
}

test('what happens is told to webhooks by their function, and streamed from one answer to the next', async () => {
  const call = (path: string, init: RequestInit = {}) =>
    fetch(`${url}${path}`, {
      ...init,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...init.headers },
    });
  const begun = await (await call('/api/v1/workspaces/default/events')).text();
  const id = /^id: (\S+)$/m.exec(begun)?.[1] ?? '';
  const events = [{ entity: 'REGISTERED_MODEL', action: 'CREATED' }];
  const webhook = { name: 'tell', url: 'https://nobody.invalid/', events, secret: 'a-secret' };
  const post = (path: string, body: object) =>
    call(`/api/2.0/mlflow/${path}`, { method: 'POST', body: JSON.stringify(body) });
  const made = await post('webhooks', webhook);
  expect([made.status, await made.text()]).toEqual([200, expect.stringContaining('ACTIVE')]);
  expect((await post('registered-models/create', { name: 'told' })).status).toBe(200);
  const lines = () => linesOf('DeliverWebhook');
  await expect.poll(lines, SOON).toContainEqual(expect.objectContaining({ outcome: 'spread', count: 1 }));
  // Its name leads nowhere, so that it is tried again after the queue's pause.
  await expect
    .poll(lines, SOON)
    .toContainEqual(
      expect.objectContaining({ outcome: 'again', why: expect.stringContaining('nobody.invalid') }),
    );
  const more = async () =>
    (await call('/api/v1/workspaces/default/events', { headers: { 'last-event-id': id } })).text();
  await expect.poll(more, SOON).toMatch(/^event: model\.created\ndata: .*"told"/m);
});

test('the timers’ tasks are done, and with nothing to do none wakes anything', async () => {
  for (const task of ['reconcile', 'checkpoint', 'clean-up']) await send('Cairn-ReconcileQueue', { task });
  const done = async () => (await linesOf('Reconcile')).filter(({ message }) => message === 'done');
  for (const task of ['reconcile', 'checkpoint', 'clean-up']) {
    await expect.poll(done, SOON).toContainEqual(expect.objectContaining({ task }));
  }
  expect(await done()).toContainEqual(expect.objectContaining({ task: 'reconcile', woken: 0 }));
  const verified = await cli.json(['audit', 'verify']);
  expect(verified).toMatchObject({ ok: true, checkpointAt: expect.any(String), problems: [] });
});

test('only who may call an endpoint gets past the authorizer', async () => {
  const asked = async (headers: Record<string, string>) =>
    (await fetch(`${url}/endpoints/default/digits/ping`, { headers })).status;
  const viewer = await cli.json(['token', 'create', 'someone', '--grant', 'viewer@default/digits']);
  const other = await cli.json(['token', 'create', 'other', '--grant', 'viewer@default/faces']);
  expect(await asked({})).toBe(401);
  expect(await asked({ authorization: 'Bearer wrong' })).toBe(401);
  expect(await asked({ authorization: `Bearer ${other.token}` })).toBe(403);
  // No rule of the load balancer is there yet.
  expect(await asked({ authorization: `Bearer ${viewer.token}` })).toBe(503);
});

/** What the endpoint says about images: the version that answered, and how many it got right. */
async function predictions(of: typeof testSet): Promise<{ version: string; right: number }> {
  const { images, labels } = of;
  const inputs = [{ name: 'image', datatype: 'FP32', shape: [images.length, 64], data: images.flat() }];
  const answer = await fetch(`${url}/endpoints/default/digits/v2/models/digits/infer`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ inputs }),
  });
  if (!answer.ok) return { version: `none: ${answer.status}`, right: 0 };
  type Outputs = { model_version: string; outputs: { name: string; data: number[] }[] };
  const { model_version: version, outputs } = (await answer.json()) as Outputs;
  const told = outputs.find(({ name }) => name === 'label')?.data ?? [];
  const right = labels.filter((label, index) => label === told[index]).length;
  return { version, right };
}

const status = async () => (await cli.json(['status', 'digits'])).status;
const containers = () => engine.docker('ps', '--quiet', '--filter', `ancestor=${IMAGE}`);

test('an endpoint is a container that fetched its version and reads digits, through the gateway', async () => {
  await cli.json(['deploy', 'digits@1', '--no-wait', '--bake-seconds', '60']);
  await expect.poll(status, SOON).toMatchObject({ phase: 'idle', current: { version: 1, ready: 1 } });
  await expect.poll(() => predictions(testSet), SOON).toEqual({ version: '1', right: 325 });
  expect((await containers()).split('\n')).toHaveLength(1);
  await expect
    .poll(async () => (await cli.json(['logs', 'digits'])).items, SOON)
    .toContainEqual(expect.objectContaining({ revision: 1, message: expect.stringContaining('loaded') }));
});

test('a container’s own metrics ring an alarm, which brings the version before back', async () => {
  await cli.json(['deploy', 'digits@2', '--no-wait', '--bake-seconds', '60', '--p99', '0.001']);
  await expect.poll(status, SOON).toMatchObject({ phase: 'idle', current: { version: 2, ready: 1 } });
  await expect.poll(() => predictions(testSet), SOON).toEqual({ version: '2', right: 350 });
  // The emulator's alarms know whole seconds: this one is to ring in a later one than that in which it got the traffic.
  await expect.poll(Date.now, SOON).toBeGreaterThan(Date.now() + 1000);

  const measured = () => measuredOf(2);
  await expect
    .poll(measured, SOON)
    .toContainEqual(expect.objectContaining({ MetricName: 'Latency', Unit: 'Milliseconds' }));
  await new CloudWatchClient(config).send(
    new PutMetricDataCommand({ Namespace: 'Cairn', MetricData: await measured() }),
  );

  await expect.poll(status, SOON).toMatchObject({
    phase: 'idle',
    current: { version: 1, ready: 1 },
    lastRollback: { by: 'system:on-alarm', reason: expect.stringMatching(/^Threshold Crossed: p99 /) },
  });
  await expect.poll(() => predictions(testSet), SOON).toEqual({ version: '1', right: 325 });
  expect(await linesOf('OnAlarm')).toContainEqual(
    expect.objectContaining({ state: 'ALARM', ours: true, requestId: expect.any(String) }),
  );
  expect(await cli.json(['audit', 'verify'])).toMatchObject({ ok: true });
});

/** What CloudWatch would make of the lines that a revision's container wrote, which the emulator leaves lines. */
async function measuredOf(revision: number): Promise<MetricDatum[]> {
  const { logGroups = [] } = await logs.send(new DescribeLogGroupsCommand({}));
  const group = logGroups.find(({ logGroupName }) => logGroupName?.includes('ServingModelsLogs'));
  const { events = [] } = await logs.send(new FilterLogEventsCommand({ logGroupName: group?.logGroupName }));
  return events.flatMap(({ message = '' }) => {
    if (!message.includes('"_aws"')) return [];
    const line = JSON.parse(message);
    const [{ Dimensions, Metrics }] = line._aws.CloudWatchMetrics;
    if (line.Revision !== String(revision)) return [];
    return Metrics.map(({ Name, Unit }: { Name: string; Unit: MetricDatum['Unit'] }): MetricDatum => {
      const { Values = [line[Name]].flat(), Counts } = line[Name];
      return {
        MetricName: Name,
        Unit,
        Timestamp: new Date(line._aws.Timestamp),
        Dimensions: Dimensions[0].map((dimension: string) => ({ Name: dimension, Value: line[dimension] })),
        Values,
        Counts,
      };
    });
  });
}

test('after rollouts there is no difference between the stacks and what they made', async () => {
  const { code, output } = await cairn.run('diff', '--fail');
  expect([code, output]).toEqual([0, expect.stringContaining('Number of stacks with differences: 0')]);
});

test('functions write what they answered as metrics', async () => {
  for (const [name, folder] of [
    ['Api', 'api'],
    ['OnAlarm', 'on-alarm'],
    ['Reconcile', 'reconcile'],
    ['RevisionFiles', 'revision-files'],
  ] as const) {
    expect(await linesOf(name)).toContainEqual(
      expect.objectContaining({ Function: folder, Requests: 1, Errors: 0, Latency: expect.any(Number) }),
    );
  }
});

test('no function logged an error or a token', async () => {
  const { logGroups = [] } = await logs.send(new DescribeLogGroupsCommand({}));
  let read = 0;
  for (const { logGroupName } of logGroups) {
    const { events = [] } = await logs.send(new FilterLogEventsCommand({ logGroupName }));
    read += events.length;
    const text = events.map(({ message }) => message).join('\n');
    expect(text).not.toContain(token);
    expect(text).not.toMatch(/cairn_[0-9a-f]{16}_/);
    expect(text).not.toContain('"level":"ERROR"');
  }
  expect(read).toBeGreaterThan(100);
});

test('what is destroyed is the service; the data stays until that is what is configured', async () => {
  const { Table = '', ModelBucket = '', IncomingBucket = '' } = cairn.outputs.CairnData;
  const table = new DynamoDBClient(config);
  const there = async () => ({
    table: await exists(table.send(new DescribeTableCommand({ TableName: Table }))),
    models: await exists(s3.send(new HeadBucketCommand({ Bucket: ModelBucket }))),
    incoming: await exists(s3.send(new HeadBucketCommand({ Bucket: IncomingBucket }))),
  });
  const leftOfEndpoints = async () => {
    const { TargetGroups = [] } = await balancing.send(new DescribeTargetGroupsCommand({}));
    const { families } = await new ECSClient(config).send(
      new ListTaskDefinitionFamiliesCommand({ status: 'ACTIVE' }),
    );
    const ofEndpoints = TargetGroups.filter(({ TargetType }) => TargetType !== 'lambda');
    return { containers: await containers(), targetGroups: ofEndpoints.length, families };
  };
  expect((await cli.run(['delete', 'endpoint', 'digits', '--yes'])).status).toBe(0);
  await expect.poll(leftOfEndpoints, SOON).toEqual({ containers: '', targetGroups: 0, families: [] });
  await expect.poll(() => messagesIn('Cairn-ReconcileQueue'), SOON).toBe(0);
  const { output } = await cairn.run('destroy', '--force');
  expect(output).toContain('Cairn: destroyed');
  expect((await fetch(`${url}/healthz`)).status).not.toBe(200);
  expect(await there()).toEqual({ table: true, models: true, incoming: true });
});

const exists = (answer: Promise<unknown>) =>
  answer.then(
    () => true,
    () => false,
  );
