import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';

export const openBlobs = (bucket: string) => openS3BlobStore({ client: openS3Client(), bucket });
