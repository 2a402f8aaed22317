import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { DescribeServicesCommand, DescribeTaskDefinitionCommand, ECSClient } from '@aws-sdk/client-ecs';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { ListQueuesCommand, SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';
import { deployed, type Installation } from './aws-cdk.ts';
import { type Ministack, startMinistack } from './aws-ministack.ts';
import { pythonEnv } from './python.ts';

/** The restore of docs/aws.md, typed as it stands there, on deployed stacks; tasks are records that run at once. */

const PROJECT = join(import.meta.dirname, '../..');
const DIGITS = join(PROJECT, 'test/models/digits');
const SOON = { timeout: 120_000, interval: 500 };

let ministack: Ministack;
let cairn: Installation;
let dir: string;
let env: Record<string, string>;
let ecs: ECSClient;

beforeAll(async () => {
  const aws = dirname(await pythonEnv('awscli', 'awscli==1.46.3\n'));
  dir = await mkdtemp(join(tmpdir(), 'cairn-restore-'));
  ministack = await startMinistack({ DOCKER_HOST: 'unix:///nowhere/docker.sock' });
  ecs = new ECSClient(ministack.publicAccount);
  cairn = await deployed(ministack.publicAccount, {
    'cairn:serving': true,
    'cairn:modelServerImage': 'none:1',
  });
  // The command of PyPI is version 1, which knows the region by another name.
  env = { ...cairn.env, AWS_DEFAULT_REGION: cairn.env.AWS_REGION ?? '', PATH: `${aws}:${cairn.env.PATH}` };
});
afterAll(async () => {
  await cairn?.remove();
  await ministack?.close();
  await rm(dir, { recursive: true, force: true });
});

/** Runs lines as a terminal does, which remembers what those before have set. @throws Error when one fails */
async function type(lines: string): Promise<string> {
  const after = join(dir, 'env');
  // `npx cairn` is the project's own bin: found without asking a registry.
  const npx = `npx() { shift; "${process.execPath}" dist/cairn.js "$@"; }`;
  const script = `${npx}\nset -a\n${lines}\nenv -0 > ${after}`;
  const { status, stdout, stderr } = spawnSync('bash', ['--norc', '-euo', 'pipefail', '-c', script], {
    cwd: PROJECT,
    env,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${status} from:\n${lines}\n${stdout}\n${stderr}`);
  const set = (await readFile(after, 'utf8')).split('\0').filter((entry) => entry !== '');
  env = Object.fromEntries(set.map((entry) => entry.split(/=([\s\S]*)/) as [string, string]));
  return stdout;
}

const json = async (line: string) => JSON.parse(await type(`npx cairn ${line} --json`));

/** The commands of a section of docs/aws.md, block by block. */
async function commandsOf(section: string): Promise<string[]> {
  const page = await readFile(join(PROJECT, 'docs/aws.md'), 'utf8');
  const [, text = ''] = page.split(`\n## ${section}\n`);
  const [own = ''] = text.split('\n## ');
  return [...own.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, block = '']) => block);
}

const status = async () => (await json('status faces')).status;

/** The version that the endpoint's tasks are told to serve. */
async function served(): Promise<string | undefined> {
  const { services = [] } = await ecs.send(
    new DescribeServicesCommand({
      cluster: cairn.outputs.Cairn.Cluster,
      services: ['default_faces'],
    }),
  );
  const { taskDefinition } = await ecs.send(
    new DescribeTaskDefinitionCommand({ taskDefinition: services[0]?.taskDefinition }),
  );
  const [{ environment = [] } = {}] = taskDefinition?.containerDefinitions ?? [];
  return environment.find(({ name }) => name === 'CAIRN_MODEL_VERSION')?.value;
}

/** What a timer sends every hour. */
async function cleanUp(): Promise<void> {
  const sqs = new SQSClient(ministack.publicAccount);
  const { QueueUrls = [] } = await sqs.send(
    new ListQueuesCommand({ QueueNamePrefix: 'Cairn-ReconcileQueue' }),
  );
  const QueueUrl = QueueUrls.find((url) => !url.includes('DeadLetters'));
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify({ task: 'clean-up' }) }));
}

const deploy = async (version: number) => {
  await type(`npx cairn deploy faces@${version} --no-wait --bake-seconds 60`);
  await expect.poll(status, SOON).toMatchObject({ phase: 'idle', current: { version } });
};

/** Objects of models, by key, that can be read. */
async function objectsThere(): Promise<(string | undefined)[]> {
  const s3 = openS3Client({ ...ministack.publicAccount, pathStyle: true });
  const { Contents = [] } = await s3.send(
    new ListObjectsV2Command({
      Bucket: cairn.outputs.CairnData.ModelBucket,
      Prefix: 'workspaces/default/models/',
    }),
  );
  return Contents.map(({ Key }) => Key);
}

test('Cairn goes on with a table of before: versions, aliases, bytes, endpoint and audit trail', async () => {
  const [, address = ''] = await commandsOf('Deploy');
  const [copy = '', use = '', objects = '', ...more] = await commandsOf('Restore');
  expect(more).toEqual([]);
  expect(await type(address)).toContain('Readiness: the server can do its work');
  await type(`npx cairn push ${DIGITS}/digits-v1.onnx digits --create --alias champion`);
  await type(`npx cairn push ${DIGITS}/digits-v2.onnx digits`);
  for (const version of [1, 2]) await type(`npx cairn push ${DIGITS}/digits-v${version}.onnx faces --create`);
  await deploy(1);
  const before = await json('show digits');
  const files = await objectsThere();
  // The emulator's copy is of now, whatever second it is asked for: what is to be undone comes after it.
  await type(copy);

  await deploy(2);
  expect(await served()).toBe('2');
  await type('npx cairn delete model digits --yes');
  await type(`npx cairn push README.md later --create`);
  await cleanUp();
  await expect.poll(objectsThere, SOON).not.toEqual(expect.arrayContaining(files));

  await type(use);
  expect(await json('show digits')).toEqual(before);
  await expect(type('npx cairn show later')).rejects.toThrow('MODEL_NOT_FOUND');
  await type(objects);
  expect(await objectsThere()).toEqual(expect.arrayContaining(files));
  await type(`npx cairn pull digits@champion ${dir}/pulled`);
  const pulled = await readFile(join(dir, 'pulled/digits-v1.onnx'));
  expect(pulled.equals(await readFile(join(DIGITS, 'digits-v1.onnx')))).toBe(true);
  expect(await json('audit verify')).toMatchObject({ ok: true, problems: [] });
});

test('an endpoint goes back to what the table says, and a number of before runs nothing of then', async () => {
  await cleanUp();
  await expect.poll(served, SOON).toBe('1');
  await type(`npx cairn push ${DIGITS}/digits-v1.onnx faces`);
  await deploy(3);
  expect(await served()).toBe('3');
});

test('the restored table is what the stacks go on with', async () => {
  const { code, output } = await cairn.run(
    'diff',
    '--fail',
    '-c',
    `cairn:restoredTable=${env.TABLE}-restored`,
  );
  expect([code, output]).toEqual([0, expect.stringContaining('Number of stacks with differences: 0')]);
});
