import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { allow, type Permission } from './allow.ts';
import { keyThrough } from './key-use.ts';

/** Every object of Cairn is below this. */
const PREFIX = 'workspaces/';
const OBJECTS = 'Models and their objects come and go at run time; all of them are below this prefix.';

/** `list`, and a 404 instead of a 403 for what is not there. */
const list = (bucket: IBucket) =>
  allow('ListBlobs', ['s3:ListBucket'], [bucket.bucketArn], {
    conditions: { StringLike: { 's3:prefix': `${PREFIX}*` } },
  });

/** The whole `BlobStore` port; a signed URL can do what its signer can. Parts and copies are PutObject; an object's parts are read back with a data key. */
export const writeBlobs = (bucket: IBucket, key: IKey): Permission[] => [
  allow(
    'ReadAndWriteBlobs',
    [
      's3:GetObject',
      's3:PutObject',
      's3:DeleteObject',
      's3:AbortMultipartUpload',
      's3:ListMultipartUploadParts',
    ],
    [bucket.arnForObjects(`${PREFIX}*`)],
    { wildcard: OBJECTS },
  ),
  list(bucket),
  keyThrough('s3', key, ['kms:Decrypt', 'kms:GenerateDataKey']),
];

/** URLs that replicas fetch their files by. */
export const signReads = (bucket: IBucket, key: IKey): Permission[] => [
  allow('ReadBlobs', ['s3:GetObject'], [bucket.arnForObjects(`${PREFIX}*`)], { wildcard: OBJECTS }),
  keyThrough('s3', key, ['kms:Decrypt']),
];

/** Taking what was dropped: all keys, since a key there is `<workspace>/<model>/…`. */
export const takeIncoming = (bucket: IBucket): Permission[] => [
  allow(
    'TakeIncoming',
    ['s3:GetObject', 's3:GetObjectVersion', 's3:DeleteObject'],
    [bucket.arnForObjects('*')],
    { wildcard: 'A dropped file is called <workspace>/<model>/<file>: whatever the user says.' },
  ),
  allow('ListIncoming', ['s3:ListBucket'], [bucket.bucketArn]),
];
