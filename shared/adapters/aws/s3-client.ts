import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';

export interface S3ClientOptions {
  readonly region?: string;
  /** An S3-compatible store: MinIO, Ceph, R2, Google Cloud Storage's interoperable API … */
  readonly endpoint?: string;
  /** `<endpoint>/<bucket>/<key>`, for stores without a host name for each bucket. */
  readonly pathStyle?: boolean;
  readonly credentials?: S3ClientConfig['credentials'];
}

const CONNECTION_TIMEOUT_MS = 5000;

/**
 * An S3 client as the blob store needs it: checksums only where a request asks for one. The SDK's default would put the
 * checksum of an empty body into presigned URLs, and hash in JavaScript whatever is read.
 */
export function openS3Client({
  region,
  endpoint,
  pathStyle = false,
  credentials,
}: S3ClientOptions = {}): S3Client {
  const client = new S3Client({
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(credentials === undefined ? {} : { credentials }),
    forcePathStyle: pathStyle,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: CONNECTION_TIMEOUT_MS },
  });
  // The SDK tells the operation in the address as well, which Google Cloud Storage does not take.
  client.middlewareStack.add(
    (next) => (args) => {
      delete (args.request as { query: Record<string, unknown> }).query['x-id'];
      return next(args);
    },
    { name: 'withoutOperation', step: 'build' },
  );
  return client;
}
