/** A request as far as the rules look at it. */
export interface Asked {
  readonly operation: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly query: URLSearchParams;
  /** Names of headers that the signature covers. */
  readonly signed: readonly string[];
  /** Of a signature: `auto`, `us-east-1` … */
  readonly region: string | undefined;
}

/** What a service is said not to take: `source` says so. */
export interface Rule {
  readonly source: string;
  readonly refused: string;
  readonly when: (asked: Asked) => boolean;
  readonly status: number;
  readonly code: string;
}

/** A service by its documentation, and by what others tell of it. */
export interface Documented {
  readonly name: string;
  readonly region: string;
  /** What it knows; it answers 501 to all else. */
  readonly operations: readonly string[];
  readonly rules: readonly Rule[];
  /** `If-None-Match` of a write counts for nothing. */
  readonly ignoresPutConditions: boolean;
  /** All parts of an upload but the last one have to have one size, and the last one no more. */
  readonly partsOfOneSize: boolean;
}

const OBJECTS = ['GetObject', 'HeadObject', 'PutObject', 'CopyObject', 'DeleteObject', 'ListObjectsV2'];
const PARTS = ['CreateMultipartUpload', 'UploadPart', 'ListParts', 'ListMultipartUploads'];
const ENDS = ['CompleteMultipartUpload', 'AbortMultipartUpload'];

const has =
  (...names: (string | RegExp)[]) =>
  ({ headers }: Asked) =>
    Object.keys(headers).some((given) =>
      names.some((name) => (typeof name === 'string' ? given === name : name.test(given))),
    );

const of =
  (operations: string | readonly string[], and: (asked: Asked) => boolean = () => true) =>
  (asked: Asked) =>
    operations.includes(asked.operation) && and(asked);

const WRITES = ['PutObject', 'CopyObject', 'CreateMultipartUpload'];
const NOT_IMPLEMENTED = { status: 501, code: 'NotImplemented' };

const R2_TABLE = 'https://developers.cloudflare.com/r2/api/s3/api/';

export const R2: Documented = {
  name: 'Cloudflare R2',
  region: 'auto',
  operations: [...OBJECTS, ...PARTS, 'UploadPartCopy', ...ENDS],
  ignoresPutConditions: false,
  // https://developers.cloudflare.com/r2/objects/multipart-objects/
  partsOfOneSize: true,
  rules: [
    {
      source: R2_TABLE,
      refused: 'another region than auto, us-east-1 or none',
      when: ({ region }) => !['auto', 'us-east-1', ''].includes(region ?? ''),
      status: 400,
      code: 'InvalidRegionName',
    },
    {
      source: R2_TABLE,
      refused: 'owners and payers',
      when: has('x-amz-expected-bucket-owner', 'x-amz-source-expected-bucket-owner', 'x-amz-request-payer'),
      ...NOT_IMPLEMENTED,
    },
    {
      source: R2_TABLE,
      refused: 'keys of a key service, tags, locks, access lists and redirections of what is written',
      when: of(
        WRITES,
        has(
          /^x-amz-server-side-encryption(?!-customer)/,
          /^x-amz-tagging/,
          /^x-amz-object-lock-/,
          /^x-amz-(acl|grant-)/,
          'x-amz-website-redirect-location',
        ),
      ),
      ...NOT_IMPLEMENTED,
    },
    {
      source: R2_TABLE,
      refused: 'another checksum of a copy',
      when: of('CopyObject', has('x-amz-checksum-algorithm')),
      ...NOT_IMPLEMENTED,
    },
    {
      source: R2_TABLE,
      refused: 'conditions of a copied part',
      when: of('UploadPartCopy', has(/^x-amz-copy-source-if-/)),
      ...NOT_IMPLEMENTED,
    },
    {
      source: R2_TABLE,
      refused: 'a whole upload’s checksum but CRC64NVME’s, and that one of parts',
      when: of('CreateMultipartUpload', ({ headers }) => {
        const { 'x-amz-checksum-type': type, 'x-amz-checksum-algorithm': algorithm } = headers;
        return type !== undefined && (type === 'FULL_OBJECT') !== (algorithm === 'CRC64NVME');
      }),
      ...NOT_IMPLEMENTED,
    },
    {
      source: 'https://github.com/Alos-no/Cloudflare.NET/pull/43',
      refused: 'SHA-1 and SHA-256 of a part',
      when: of('UploadPart', has(/^x-amz-checksum-sha/)),
      ...NOT_IMPLEMENTED,
    },
    {
      // It names conditions of PutObject and none of uploads: taken for the worst that can be.
      source: 'https://developers.cloudflare.com/r2/api/s3/extensions/',
      refused: 'conditions of a completed upload',
      when: of('CompleteMultipartUpload', has('if-match', 'if-none-match')),
      ...NOT_IMPLEMENTED,
    },
  ],
};

const GOOGLE_QUIRKS = 'https://github.com/rclone/rclone/blob/master/backend/s3/provider/GCS.yaml';

export const GOOGLE: Documented = {
  name: 'Google Cloud Storage',
  region: 'auto',
  // https://docs.cloud.google.com/storage/docs/xml-api/reference-methods, without UploadPartCopy: GOOGLE_QUIRKS
  operations: [...OBJECTS, ...PARTS, ...ENDS],
  // https://docs.cloud.google.com/storage/docs/request-preconditions, https://github.com/gaul/undocumented-s3-apis/issues/4
  ignoresPutConditions: true,
  partsOfOneSize: false,
  rules: [
    {
      source: 'https://github.com/rclone/rclone/issues/6670',
      refused: 'a signature of Accept-Encoding, which its front end changes',
      when: ({ signed }) => signed.includes('accept-encoding'),
      status: 403,
      code: 'SignatureDoesNotMatch',
    },
    {
      source: GOOGLE_QUIRKS,
      refused: 'the SDK’s x-id',
      when: ({ query }) => query.has('x-id'),
      status: 403,
      code: 'SignatureDoesNotMatch',
    },
    {
      source: 'https://github.com/milvus-io/milvus-storage/pull/480',
      refused: 'checksums of S3’s kind',
      when: of([...WRITES, 'UploadPart', 'CompleteMultipartUpload'], has(/^x-amz-(sdk-)?checksum-/)),
      status: 400,
      code: 'ExcessHeaderValues',
    },
    {
      source: 'https://github.com/aws/aws-sdk-java-v2/issues/5987',
      refused: 'checksums behind a body in chunks',
      when: (asked) => has('x-amz-trailer')(asked) || asked.headers['content-encoding'] === 'aws-chunked',
      status: 403,
      code: 'SignatureDoesNotMatch',
    },
    {
      source: 'https://gitlab.com/gitlab-org/gitlab-ce/merge_requests/23858',
      refused: 'x-amz-… and x-goog-… together',
      when: (asked) => has(/^x-goog-/)(asked) && has(/^x-amz-/)(asked),
      status: 400,
      code: 'InvalidArgument',
    },
    {
      source: 'https://docs.cloud.google.com/storage/docs/multipart-uploads',
      refused: 'conditions of uploads in parts',
      when: of([...PARTS, ...ENDS], has('if-match', 'if-none-match')),
      status: 400,
      code: 'InvalidArgument',
    },
  ],
};
