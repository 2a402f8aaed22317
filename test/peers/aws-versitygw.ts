import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';
import { installed, startLocalServer, TEST_CREDENTIALS, TEST_REGION } from './aws-server.ts';

export interface Versitygw extends AsyncDisposable {
  readonly client: S3Client;
  readonly bucket: string;
  readonly endpoint: string;
  readonly pid: number;
  close(): Promise<void>;
}

/** An S3 server on a directory of its own, with an empty bucket. */
export async function startVersitygw(): Promise<Versitygw> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-s3-'));
  const root = join(dir, 'objects');
  await mkdir(root);
  const server = await startLocalServer((port) => ({
    file: installed('bin/versitygw'),
    args: ['--port', `127.0.0.1:${port}`, '--keep-alive', '--quiet', 'posix', root],
    env: {
      ROOT_ACCESS_KEY: TEST_CREDENTIALS.accessKeyId,
      ROOT_SECRET_KEY: TEST_CREDENTIALS.secretAccessKey,
    },
    cwd: dir,
  }));
  const client = openS3Client({
    endpoint: server.endpoint,
    region: TEST_REGION,
    pathStyle: true,
    credentials: TEST_CREDENTIALS,
  });
  await client.send(new CreateBucketCommand({ Bucket: 'cairn' }));
  const close = async () => {
    client.destroy();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  };
  return {
    client,
    bucket: 'cairn',
    endpoint: server.endpoint,
    pid: server.pid,
    close,
    [Symbol.asyncDispose]: close,
  };
}
