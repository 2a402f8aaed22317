import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateBucketCommand, type S3Client } from '@aws-sdk/client-s3';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';
import { type LocalServer, TEST_CREDENTIALS, TEST_REGION } from './aws-server.ts';

/** An S3 server on a directory of its own, with an empty bucket. */
export interface S3Server extends AsyncDisposable {
  readonly client: S3Client;
  readonly bucket: string;
  readonly endpoint: string;
  readonly pid: number;
  readonly credentials: typeof TEST_CREDENTIALS;
  close(): Promise<void>;
}

/** @param start starts the server on the directory, and resolves when it answers; with a key id or region of its own where it needs one */
export async function startS3Server(
  start: (dir: string) => Promise<LocalServer & { readonly accessKeyId?: string; readonly region?: string }>,
): Promise<S3Server> {
  const dir = await mkdtemp(join(tmpdir(), 'cairn-s3-'));
  await mkdir(join(dir, 'objects'));
  const { endpoint, pid, stop, accessKeyId, region = TEST_REGION } = await start(dir);
  const credentials = { ...TEST_CREDENTIALS, ...(accessKeyId === undefined ? {} : { accessKeyId }) };
  const client = openS3Client({ endpoint, region, pathStyle: true, credentials });
  const close = async () => {
    client.destroy();
    await stop();
    await rm(dir, { recursive: true, force: true });
  };
  await client.send(new CreateBucketCommand({ Bucket: 'cairn' }));
  return { client, bucket: 'cairn', endpoint, pid, credentials, close, [Symbol.asyncDispose]: close };
}

/** The environment of a Cairn with its bytes in the server's bucket. */
export const blobStoreEnv = (
  { bucket, endpoint, credentials }: S3Server,
  prefix = '',
): Record<string, string> => ({
  CAIRN_BLOB_STORE: `s3://${bucket}/${prefix}?endpoint=${encodeURIComponent(endpoint)}`,
  AWS_ACCESS_KEY_ID: credentials.accessKeyId,
  AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
});
