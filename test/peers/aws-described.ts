import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, test } from 'vitest';
import { pythonEnv } from './python.ts';

/** How botocore calls the services of the SDK's clients. */
const SERVICES: Readonly<Record<string, string>> = {
  ApplicationAutoScalingClient: 'application-autoscaling',
  CloudWatchClient: 'cloudwatch',
  CloudWatchLogsClient: 'logs',
  DynamoDBClient: 'dynamodb',
  ECSClient: 'ecs',
  ElasticLoadBalancingV2Client: 'elbv2',
  KMSClient: 'kms',
  S3Client: 's3',
  SecretsManagerClient: 'secretsmanager',
  SNSClient: 'sns',
  SQSClient: 'sqs',
};

interface Resolved {
  readonly clientName: string;
  readonly commandName: string;
}
interface Command {
  readonly input: unknown;
  resolveMiddlewareWithContext(...of: [unknown, unknown, unknown, Resolved]): unknown;
}

/** The requests of all clients in this process, each shape of each once: also those that are only signed. */
const requests = new Map<string, string>();

const parentOf = (prototype: object) => Object.getPrototypeOf(prototype);
/** What all commands of all clients come from: between it and each is a class that the SDK builds for the command. */
const base: Command = parentOf(parentOf(PutObjectCommand.prototype));
const resolve = base.resolveMiddlewareWithContext;
base.resolveMiddlewareWithContext = function (this: Command, ...of) {
  const [, , , { clientName, commandName }] = of;
  const operation = commandName.replace(/Command$/, '');
  const line = JSON.stringify({ service: SERVICES[clientName], operation, input: plain(this.input) });
  requests.set(line, `${SERVICES[clientName]}:${operation}`);
  return resolve.apply(this, of);
};

/** Bytes as the judge takes them; a stream, which it cannot see into, as none. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value.subarray(0, 16)).toString('base64') };
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Date || typeof value !== 'object' || value === null) return value;
  if ('pipe' in value || 'getReader' in value) return { $bytes: '' };
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

/**
 * The last test of a file: what its tests had the SDK's clients send or sign fits AWS's own descriptions of these services, with
 * bounds, patterns and enumerations that the SDK's types do not have.
 * @param least calls that have to be among them
 */
export function requestsFitTheirDescriptions(least: readonly string[]): void {
  test('each request fits AWS’s own description of its service', async () => {
    expect([...new Set(requests.values())]).toEqual(expect.arrayContaining([...least]));
    expect(await judged([...requests.keys()])).toBe('');
  });
}

/** One line for each problem. */
export async function judged(lines: readonly string[]): Promise<string> {
  const python = await pythonEnv('botocore', 'botocore==1.43.106\n');
  const script = fileURLToPath(new URL('aws_described.py', import.meta.url));
  const judge = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  judge.stdin.end(lines.map((line) => `${line}\n`).join(''));
  const [answer, [status]] = await Promise.all([text(judge.stdout), once(judge, 'exit')]);
  expect(status).toBe(0);
  return answer;
}
