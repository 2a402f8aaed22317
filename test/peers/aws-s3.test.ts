import { setTimeout as sleep } from 'node:timers/promises';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { blobStoreContract } from '../contract/blob-store.ts';
import { requestsFitTheirDescriptions } from './aws-described.ts';
import { startVersitygw } from './aws-versitygw.ts';

for (const checksums of ['crc64nvme', 'when-required'] as const) {
  blobStoreContract(`S3 on versitygw, checksums ${checksums}`, async () => {
    const server = await startVersitygw();
    return {
      store: openS3BlobStore({ client: server.client, bucket: server.bucket, checksums }),
      minPartSize: 5 * 1024 * 1024,
      pass: (seconds) => sleep(seconds * 1000),
      close: server.close,
    };
  });
}

requestsFitTheirDescriptions(['s3:CopyObject', 's3:ListObjectsV2', 's3:ListParts', 's3:PutObject']);
