import { request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import pMap from 'p-map';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';
import { partLength, planParts } from '../../shared/storage/part-plan.ts';
import { generated, generatedDigest } from './generated-bytes.ts';

/**
 * A client of an upload that is described in the environment: sends by signed URLs the parts that are not listed yet, two
 * at a time, and prints which, and how much memory that took. With `diesAfter`, it kills itself when that many were sent.
 */
const { endpoint, bucket, key, uploadId, size, diesAfter } = JSON.parse(process.env.UPLOAD ?? '{}');
const store = openS3BlobStore({
  client: openS3Client({ endpoint, region: 'us-east-1', pathStyle: true }),
  bucket,
});
const plan = planParts(size);
const there = new Set((await store.listParts(key, uploadId)).map(({ number }) => number));
const missing = Array.from({ length: plan.parts }, (_, index) => index + 1).filter(
  (number) => !there.has(number),
);

let sent = 0;
async function send(number: number): Promise<void> {
  const length = partLength(size, plan, number);
  const url = await store.presignPart(key, uploadId, { number, size: length, expiresIn: 600 });
  const start = plan.partSize * (number - 1);
  // S3 drops a part whose connection broke. versitygw 1.8.0 keeps it, filled up with zeros, unless it has a digest to check.
  const md5 = Buffer.from(generatedDigest(start, length, 'md5'), 'hex').toString('base64');
  const headers = { 'content-length': length, 'content-md5': md5 };
  const put = request(url, { method: 'PUT', headers });
  const answer = new Promise<number | undefined>((resolve, reject) => {
    put.once('response', (response) => resolve(response.resume().statusCode)).once('error', reject);
  });
  await pipeline(generated(start, length), put);
  if ((await answer) !== 200) throw new Error(`part ${number}: ${await answer}`);
  sent += 1;
  if (sent === diesAfter) process.kill(process.pid, 'SIGKILL');
}

await pMap(missing, send, { concurrency: 2 });
console.log(JSON.stringify({ sent: missing, mostMiB: Math.round(process.resourceUsage().maxRSS / 1024) }));
