import { ListMultipartUploadsCommand, ListObjectsV2Command, S3ServiceException } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';
import { probeS3 } from '../../shared/adapters/aws/s3-probe.ts';
import { TEST_CREDENTIALS, TEST_REGION } from './aws-server.ts';
import { startVersitygw } from './aws-versitygw.ts';
import type { S3Server } from './s3-server.ts';

/** A real store, and one fault of those that other stores have: what a request asks for is ignored, or refused. */

let server: S3Server;
beforeAll(async () => {
  server = await startVersitygw();
});
afterAll(() => server.close());

const ABLE = {
  checksums: 'crc64nvme',
  conditionalPuts: true,
  conditionalCompletions: true,
  partCopies: true,
  copyIfMatch: false,
};
type Input = Record<string, unknown>;

/** The store, with requests changed on their way. */
function storeThat(change: (input: Input, command: string) => Input) {
  const { endpoint, bucket } = server;
  const credentials = TEST_CREDENTIALS;
  const client = openS3Client({ endpoint, region: TEST_REGION, pathStyle: true, credentials });
  client.middlewareStack.add(
    (next, { commandName = '' }) =>
      (args) =>
        next({ ...args, input: change({ ...args.input }, commandName.replace('Command', '')) } as never),
    { step: 'initialize' },
  );
  return { client, bucket };
}

const without =
  (...names: string[]) =>
  (input: Input): Input =>
    Object.fromEntries(Object.entries(input).filter(([name]) => !names.includes(name)));

const only =
  (what: string, change: (input: Input) => Input) =>
  (input: Input, command: string): Input =>
    command === what ? change(input) : input;

const refusing = (what: string) => (input: Input, command: string) => {
  if (command !== what) return input;
  const $metadata = { httpStatusCode: 501 };
  throw new S3ServiceException({ name: 'NotImplemented', message: 'not here', $fault: 'server', $metadata });
};

let leftBehind: () => Promise<unknown[]>;
beforeEach(() => {
  leftBehind = async () => {
    const at = { Bucket: server.bucket };
    const { Contents = [] } = await server.client.send(new ListObjectsV2Command(at));
    const { Uploads = [] } = await server.client.send(new ListMultipartUploadsCommand(at));
    return [...Contents, ...Uploads].map(({ Key }) => Key);
  };
});

test('a store that does all of it is used as S3 is, and nothing is left behind', async () => {
  expect(await probeS3(server)).toEqual(ABLE);
  expect(await leftBehind()).toEqual([]);
});

test.each([
  [
    'ignores If-None-Match',
    without('IfNoneMatch'),
    { conditionalPuts: false, conditionalCompletions: false },
  ],
  [
    'ignores If-None-Match when an upload is completed',
    only('CompleteMultipartUpload', without('IfNoneMatch')),
    { conditionalCompletions: false },
  ],
  ['ignores checksums', without('ChecksumSHA256', 'ChecksumCRC64NVME'), { checksums: 'when-required' }],
  ['tells no checksums', without('ChecksumMode'), { checksums: 'when-required' }],
  ['copies no parts', refusing('UploadPartCopy'), { partCopies: false }],
] as const)('a store that %s is used without', async (_, change, lacks) => {
  expect(await probeS3(storeThat(change), 'below/')).toEqual({ ...ABLE, ...lacks });
  expect(await leftBehind()).toEqual([]);
});

test('a store that keeps the condition of a copy by Ceph’s name alone is given it by both', async () => {
  const store = storeThat((input) => input);
  store.client.middlewareStack.add(
    (next) => (args) => {
      const { headers } = args.request as { headers: Record<string, string> };
      const { 'x-amz-copy-if-match': condition } = headers;
      delete headers['x-amz-copy-source-if-match'];
      if (condition !== undefined) headers['x-amz-copy-source-if-match'] = condition;
      return next(args);
    },
    { step: 'build', priority: 'low' },
  );
  expect(await probeS3(store)).toEqual({ ...ABLE, partCopies: false, copyIfMatch: true });
  expect(await leftBehind()).toEqual([]);
});

test.each([
  ['ignores ranges', without('Range'), 'gives ranges of an object'],
  ['ignores where a list is to begin', without('StartAfter'), 'lists objects in order, after a key'],
  [
    'ignores the condition of a copy',
    without('CopySourceIfMatch'),
    'copies an object only if it is still the same (x-amz-copy-source-if-match): a copy of another ETag gave done',
  ],
  ['signs no length', without('ContentLength'), 'from them no other length than the signed one'],
  ['knows no parts', refusing('CreateMultipartUpload'), 'takes uploads in parts'],
] as const)('a store that %s is refused by name', async (_, change, sentence) => {
  await expect(probeS3(storeThat(change))).rejects.toThrow(`Cairn needs a store that `);
  await expect(probeS3(storeThat(change))).rejects.toThrow(sentence);
  expect(await leftBehind()).toEqual([]);
});
