import { setTimeout as sleep } from 'node:timers/promises';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { probeS3 } from '../../shared/adapters/aws/s3-probe.ts';
import { prefixedBlobStore } from '../../shared/adapters/prefixed-blob-store.ts';
import { blobStoreContract, type ContractOptions } from '../contract/blob-store.ts';
import type { S3Server } from './s3-server.ts';

/** The contract of blob stores on a bucket as Cairn opens it: what the store is found to do decides how it is used. */
export function s3Contract(name: string, start: () => Promise<S3Server>, options?: ContractOptions): void {
  blobStoreContract(
    `S3 on ${name}, below a prefix`,
    async () => {
      const server = await start();
      const able = await probeS3(server, 'team/cairn/').catch(async (error) => {
        await server.close();
        throw error;
      });
      return {
        store: prefixedBlobStore(openS3BlobStore({ ...server, ...able }), 'team/cairn/'),
        minPartSize: 5 * 1024 * 1024,
        pass: (seconds) => sleep(seconds * 1000),
        close: server.close,
      };
    },
    options,
  );
}
