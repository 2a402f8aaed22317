import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { openS3BlobStore } from '../../shared/adapters/aws/s3-blob-store.ts';
import { openS3Client } from '../../shared/adapters/aws/s3-client.ts';
import { whyUnavailable } from '../../shared/adapters/aws/s3-error.ts';
import { probeS3 } from '../../shared/adapters/aws/s3-probe.ts';
import type { DataDir } from '../../shared/adapters/local/data-dir.ts';
import { downloadBlob } from '../../shared/adapters/local/downloaded-blob.ts';
import { prefixedBlobStore } from '../../shared/adapters/prefixed-blob-store.ts';
import { CairnError } from '../../shared/errors.ts';
import { BlobError, type BlobStore } from '../../shared/ports/blob-store.ts';
import { readAll } from '../../shared/storage/read-all.ts';
import { type BlobLocation, locationText } from './blob-location.ts';
import type { Bytes } from './bytes.ts';
import { claimBucket, MARKER } from './bytes-claim.ts';

/** Milliseconds after which a store that does not answer is not ready. */
const READY_MS = 5000;

/** Bytes in a bucket, which is tried first and made this data folder's. @throws Error with a sentence that says what is wrong */
export async function openBucketBytes(dataDir: DataDir, location: BlobLocation): Promise<Bytes> {
  const place = locationText(location);
  const blobs = await openBucket(location);
  await claimBucket(dataDir, blobs, place).catch(telling(place));
  return {
    blobs,
    isRemote: true,
    materialise: (file, path) => downloadBlob(blobs, file, path),
    ready: readiness(blobs),
  };
}

/** The store below the location's prefix, by what the bucket was found to do. @throws Error with a sentence */
export async function openBucket(location: BlobLocation, setting = 'CAIRN_BLOB_STORE'): Promise<BlobStore> {
  const { bucket, prefix, endpoint, forcePathStyle } = location;
  // Stores of one's own have no regions, and still want one to be signed.
  const region = location.region ?? (endpoint && (process.env.AWS_REGION || 'us-east-1'));
  const client = openS3Client({
    pathStyle: forcePathStyle,
    ...(region === undefined ? {} : { region }),
    ...(endpoint === undefined ? {} : { endpoint }),
  });
  const able = await probeS3({ client, bucket }, prefix).catch(telling(locationText(location), setting));
  return prefixedBlobStore(openS3BlobStore({ client, bucket, ...able }), prefix);
}

/** Says of an error that it is the store's, in a sentence that begins with the setting that names it. */
export const telling =
  (place: string, setting = 'CAIRN_BLOB_STORE') =>
  (error: Error): never => {
    const why =
      error instanceof BlobError && error.code === 'UNAVAILABLE'
        ? whyUnavailable(error.cause)
        : error.message;
    const sentence = error.message.startsWith(place) ? error.message : `${place} cannot be used: ${why}`;
    throw new Error(`${setting}: ${sentence.replace(/\.?$/, '.')}`, { cause: error });
  };

function readiness(blobs: BlobStore): () => Promise<void> {
  /** A store that hangs is asked once. */
  let looking: Promise<unknown> | undefined;
  return async () => {
    looking ??= readAll(blobs, MARKER).finally(() => {
      looking = undefined;
    });
    const answered = new AbortController();
    const late = setTimeout(READY_MS, undefined, { signal: answered.signal }).then(() => {
      throw unavailable('it does not answer in time');
    });
    late.catch(() => undefined);
    try {
      await Promise.race([looking, late]);
    } catch (error) {
      if (!(error instanceof BlobError)) throw error;
      if (error.code === 'NOT_FOUND') throw unavailable(`it has lost ${MARKER}, as when it was emptied`);
      throw error.code === 'UNAVAILABLE' ? unavailable(whyUnavailable(error.cause)) : error;
    } finally {
      answered.abort();
    }
  };
}

const unavailable = (why: string) =>
  new CairnError('STORAGE_UNAVAILABLE', `The bucket cannot be used: ${why.replace(/\.$/, '')}.`);
