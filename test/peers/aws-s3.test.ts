import { setTimeout as sleep } from 'node:timers/promises';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { probeS3 } from '../../shared/adapters/aws/s3-probe.ts';
import { prefixedBlobStore } from '../../shared/adapters/prefixed-blob-store.ts';
import { blobStoreContract } from '../contract/blob-store.ts';
import { requestsFitTheirDescriptions } from './aws-described.ts';
import { startVersitygw } from './aws-versitygw.ts';

/** As Cairn opens them: what the store is found to do decides how it is used. */
for (const [name, start] of [['versitygw', startVersitygw]] as const) {
  blobStoreContract(`S3 on ${name}, below a prefix`, async () => {
    const server = await start();
    const able = await probeS3(server, 'team/cairn/');
    return {
      store: prefixedBlobStore(openS3BlobStore({ ...server, ...able }), 'team/cairn/'),
      minPartSize: 5 * 1024 * 1024,
      pass: (seconds) => sleep(seconds * 1000),
      close: server.close,
    };
  });
}

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
