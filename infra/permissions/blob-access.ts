import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { allow } from './allow.ts';
import { keyThrough } from './key-use.ts';

/** Every object of Cairn is below this. */
const PREFIX = 'workspaces/';

/** `list`, and a 404 instead of a 403 for what is not there. */
const list = (bucket: IBucket) =>
  allow('ListBlobs', ['s3:ListBucket'], [bucket.bucketArn], { StringLike: { 's3:prefix': `${PREFIX}*` } });

/** Reading, and signing URLs that read: a signed URL can do what its signer can. */
export const readBlobs = (bucket: IBucket, key: IKey): PolicyStatement[] => [
  allow('ReadBlobs', ['s3:GetObject'], [bucket.arnForObjects(`${PREFIX}*`)]),
  keyThrough('s3', key, ['kms:Decrypt']),
];

/** The whole `BlobStore` port. Parts and copies are PutObject; an object's parts are read back with a data key. */
export const writeBlobs = (bucket: IBucket, key: IKey): PolicyStatement[] => [
  allow(
    'ReadAndWriteBlobs',
    ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'],
    [bucket.arnForObjects(`${PREFIX}*`)],
  ),
  list(bucket),
  keyThrough('s3', key, ['kms:Decrypt', 'kms:GenerateDataKey']),
];

/** Taking what was dropped: all keys, since a key there is `<workspace>/<model>/…`. */
export const takeIncoming = (bucket: IBucket): PolicyStatement[] => [
  allow(
    'TakeIncoming',
    ['s3:GetObject', 's3:GetObjectVersion', 's3:DeleteObject'],
    [bucket.arnForObjects('*')],
  ),
  allow('ListIncoming', ['s3:ListBucket'], [bucket.bucketArn]),
];
