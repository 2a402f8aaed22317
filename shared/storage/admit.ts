import { CairnError } from '../errors.ts';
import { BlobError, type BlobStat, type BlobStore } from '../ports/blob-store.ts';
import { digestUntil, type HashCheckpoint } from './checkpointed-digest.ts';
import { checkDigest, digest } from './verify.ts';

/** A stored object whose bytes are to be known by their SHA-256. */
export interface Candidate {
  readonly key: string;
  readonly stat: BlobStat;
  /** What its file is called. */
  readonly path: string;
  /** What it was announced to be. */
  readonly sha256?: string | undefined;
}

/** How far an object was hashed before the time was over, and which object that was. */
export interface Checked {
  readonly etag: string;
  readonly hashed: HashCheckpoint;
}

/** Hashing that may take several runs. */
export interface Runs {
  readonly isOver: () => boolean;
  /** Where the run before stopped. */
  readonly before?: Checked | undefined;
  /** Keeps where this run stopped. */
  readonly keep: (checked: Checked) => Promise<void>;
}

/**
 * Brings an object to its content address once its bytes are known; the address never holds other ones.
 * @param runs without it the object is hashed at once, however long that takes
 * @returns its SHA-256, or undefined when the time was over first
 * @throws CairnError `DIGEST_MISMATCH`; `CONFLICT` if another object stands there meanwhile, or none
 */
export async function admit(
  blobs: BlobStore,
  candidate: Candidate,
  addressOf: (sha256: string) => string,
  runs?: Runs,
): Promise<string | undefined> {
  const { key, stat, path } = candidate;
  const sha256 = stat.sha256 ?? (runs ? await hashed(blobs, candidate, runs) : await digest(blobs, key));
  if (sha256 === undefined) return undefined;
  if (candidate.sha256 !== undefined)
    checkDigest({ path, size: stat.size, sha256: candidate.sha256 }, sha256);
  try {
    // A signed URL to it may still be good: what was sent to it meanwhile was not verified.
    await blobs.copy(key, addressOf(sha256), { etag: stat.etag });
  } catch (error) {
    if (!(error instanceof BlobError && error.code === 'NOT_FOUND')) throw error;
    throw new CairnError('CONFLICT', `"${path}" was sent again or removed while it was verified.`, 'files');
  }
  return sha256;
}

async function hashed(
  blobs: BlobStore,
  { key, stat }: Candidate,
  { isOver, before, keep }: Runs,
): Promise<string | undefined> {
  const from = before?.etag === stat.etag ? before.hashed : undefined;
  const result = await digestUntil(blobs, key, isOver, from);
  if ('sha256' in result) return result.sha256;
  await keep({ etag: stat.etag, hashed: result.checkpoint });
  return undefined;
}
