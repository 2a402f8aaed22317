import { setTimeout as sleep } from 'node:timers/promises';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { blobStoreContract } from '../contract/blob-store.ts';
import { requestsFitTheirDescriptions } from './aws-described.ts';
import { startVersitygw } from './aws-versitygw.ts';
import { s3Contract } from './s3-contract.ts';

s3Contract('versitygw', startVersitygw);

blobStoreContract('S3 on versitygw, as a store that can do less', async () => {
  const server = await startVersitygw();
  const less = { checksums: 'when-required', partCopies: false } as const;
  return {
    store: openS3BlobStore({ ...server, ...less }),
    minPartSize: 5 * 1024 * 1024,
    pass: (seconds) => sleep(seconds * 1000),
    close: server.close,
  };
});

requestsFitTheirDescriptions(['s3:CopyObject', 's3:ListObjectsV2', 's3:ListParts', 's3:PutObject']);
