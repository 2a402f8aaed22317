import { join } from 'node:path';
import { installed, startLocalServer, TEST_CREDENTIALS, TEST_REGION } from './aws-server.ts';
import { type S3Server, startS3Server } from './s3-server.ts';

export type Versitygw = S3Server;

/** Versity's gateway: S3 on a file system. */
export const startVersitygw = ({ region = TEST_REGION, virtualDomain = '' } = {}): Promise<Versitygw> =>
  startS3Server(async (dir) => ({
    ...(await startLocalServer((port) => ({
      file: installed('bin/versitygw'),
      args: [
        ...['--port', `127.0.0.1:${port}`, '--region', region, '--keep-alive', '--quiet'],
        ...['posix', join(dir, 'objects')],
      ],
      env: {
        ROOT_ACCESS_KEY: TEST_CREDENTIALS.accessKeyId,
        VGW_VIRTUAL_DOMAIN: virtualDomain,
        ROOT_SECRET_KEY: TEST_CREDENTIALS.secretAccessKey,
      },
      cwd: dir,
    }))),
    region,
  }));
