import type { UploadRef } from './upload-record.ts';

/** Bytes whose sender waits for them to be verified: an upload that then becomes a version, or an object of Git LFS. */
export interface VerifyWork extends UploadRef {
  /** The object's id, where `upload` is one of Git LFS. */
  readonly lfs?: string | undefined;
}

/** Has the work done by somebody else, once or more often, where requests are too short for it. */
export type VerifyLater = (work: VerifyWork) => Promise<void>;

/** So many bytes are hashed within a request that has an end: S3 gives them in some seconds. */
export const HASHED_AT_ONCE = 64 * 1024 * 1024;
/** So many are copied on the store's side within one. */
export const COPIED_AT_ONCE = 4 * 1024 ** 3;
/** Work that came no further for so many milliseconds was lost, and is ordered again: a run takes at most half of it. */
export const LOST_AFTER = 30 * 60_000;
