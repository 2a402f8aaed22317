import { join } from 'node:path';
import { installed, startLocalServer, TEST_CREDENTIALS } from '../peers/aws-server.ts';
import { startS3Server } from '../peers/s3-server.ts';

/** S3Proxy: S3 before what else keeps objects, here a folder. */
export const startS3proxy = () =>
  startS3Server((dir) =>
    startLocalServer((port) => ({
      file: 'java',
      args: [
        ...Object.entries({
          's3proxy.endpoint': `http://127.0.0.1:${port}`,
          's3proxy.authorization': 'aws-v2-or-v4',
          's3proxy.identity': TEST_CREDENTIALS.accessKeyId,
          's3proxy.credential': TEST_CREDENTIALS.secretAccessKey,
          'jclouds.identity': 'none',
          'jclouds.credential': 'none',
          'jclouds.provider': 'filesystem-nio2',
          'jclouds.filesystem.basedir': join(dir, 'objects'),
        }).map(([name, value]) => `-D${name}=${value}`),
        ...[
          '-jar',
          installed('s3proxy/s3proxy-3.2.0-jar-with-dependencies.jar'),
          '--properties',
          '/dev/null',
        ],
      ],
      cwd: dir,
    })),
  );
