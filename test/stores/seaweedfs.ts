import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, installed, startLocalServer, TEST_CREDENTIALS } from '../peers/aws-server.ts';
import { startS3Server } from '../peers/s3-server.ts';

/** SeaweedFS: master, volume server, filer and S3 in one process. */
export const startSeaweedfs = () =>
  startS3Server(async (dir) => {
    const identity = {
      name: 'cairn',
      credentials: [{ accessKey: TEST_CREDENTIALS.accessKeyId, secretKey: TEST_CREDENTIALS.secretAccessKey }],
      actions: ['Admin', 'Read', 'Write', 'List', 'Tagging'],
    };
    const config = join(dir, 's3.json');
    await writeFile(config, JSON.stringify({ identities: [identity] }));
    const ports: string[] = [];
    for (const server of ['master', 'volume', 'filer'])
      for (const kind of ['port', 'port.grpc']) ports.push(`-${server}.${kind}=${await freePort()}`);
    ports.push(`-s3.port.grpc=${await freePort()}`, '-s3.port.iceberg=0', '-s3.port.lance=0');
    return startLocalServer((port) => ({
      file: installed('bin/weed'),
      args: [
        ...['server', `-dir=${join(dir, 'objects')}`, '-ip=127.0.0.1', '-ip.bind=127.0.0.1', '-s3'],
        ...[`-s3.port=${port}`, `-s3.config=${config}`, '-master.volumeSizeLimitMB=256', ...ports],
      ],
      cwd: dir,
    }));
  });
