/**
 * Objects of any size under a key, with S3's semantics. Keys are `/`-separated, without empty, `.` or `..` parts.
 * A write that did not finish leaves nothing visible; a write that resolved survives a power cut.
 */
export interface BlobStore {
  /**
   * Stores one object in a single request.
   * @throws BlobError `DIGEST_MISMATCH` if the bytes do not have `sha256`, `SIZE_MISMATCH` if there are more or
   * fewer than `size`, `EXISTS` with `ifAbsent` and an object there.
   */
  put(key: string, bytes: Uint8Array | AsyncIterable<Uint8Array>, options?: PutOptions): Promise<BlobStat>;
  /** @throws BlobError `NOT_FOUND`, `RANGE_NOT_SATISFIABLE` */
  get(key: string, range?: ByteRange): Promise<AsyncIterable<Uint8Array>>;
  stat(key: string): Promise<BlobStat | undefined>;
  /**
   * Server-side (a hard link where that is possible); replaces the target.
   * @throws BlobError `NOT_FOUND`, also when the object is no longer the one of `etag`
   */
  copy(from: string, to: string, options?: { etag?: string }): Promise<void>;
  /** Succeeds if there is no such object. */
  delete(key: string): Promise<void>;
  /** Keys that begin with `prefix`, in byte order, after `after`. */
  list(
    prefix: string,
    options?: { after?: string; limit?: number },
  ): Promise<{ objects: BlobEntry[]; more: boolean }>;

  /** Begins an upload in parts, all of one size but the last. */
  createMultipart(key: string, shape: MultipartShape): Promise<{ uploadId: string }>;
  /** Parts that arrived whole, in order: what a resumed upload need not send again. */
  listParts(key: string, uploadId: string): Promise<PartStat[]>;
  /** @throws BlobError `PART_MISSING` naming the first part that is not there; `NOT_FOUND` for an unknown upload */
  completeMultipart(key: string, uploadId: string, parts: readonly PartStat[]): Promise<BlobStat>;
  abortMultipart(key: string, uploadId: string): Promise<void>;

  /** A URL that anyone may GET (with ranges) until it expires. */
  presignGet(key: string, options: PresignGet): Promise<string>;
  /** A URL that anyone may PUT `size` bytes to, once or again, until it expires. */
  presignPut(key: string, options: { expiresIn: number; size: number }): Promise<string>;
  /**
   * A URL that anyone may PUT one part to until it expires. Part numbers begin at 1.
   * @param part without `size` it takes what comes, up to 5 GiB: for an upload whose sizes are not known
   */
  presignPart(
    key: string,
    uploadId: string,
    part: { number: number; size?: number | undefined; expiresIn: number },
  ): Promise<string>;
}

export interface PutOptions extends StreamOptions {
  readonly sha256?: string;
  readonly ifAbsent?: boolean;
}

export interface StreamOptions {
  /** How many bytes will come. */
  readonly size?: number | undefined;
  /** A store that is done with a chunk of a stream may call it: whoever made the chunk takes its memory back. */
  readonly release?: ((chunk: Uint8Array) => void) | undefined;
}

/** The first and last byte, both inclusive, from 0; without `end` to the end. */
export interface ByteRange {
  readonly start: number;
  readonly end?: number;
}

export interface BlobStat {
  readonly size: number;
  /** Lower-case hex, where the store knows it (always after a `put` with `sha256`). */
  readonly sha256?: string;
  readonly etag: string;
}

export interface BlobEntry {
  readonly key: string;
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modifiedAt: number;
}

export type MultipartShape = KnownShape | OpenShape;

export interface KnownShape {
  readonly size: number;
  /** 5 MiB to 5 GiB, S3's bounds; the local store takes smaller ones too. */
  readonly partSize: number;
}

/** An upload of which nobody knows the sizes beforehand: they show when the parts come, and have the same bounds. */
export interface OpenShape {
  readonly parts: number;
}

export interface PartStat {
  readonly number: number;
  readonly etag: string;
  readonly size: number;
}

export interface PresignGet {
  /** Seconds. */
  readonly expiresIn: number;
  /** What the answer's Content-Disposition names the file. */
  readonly filename?: string;
  readonly contentType?: string;
}

export type BlobErrorCode =
  | 'NOT_FOUND'
  | 'EXISTS'
  | 'DIGEST_MISMATCH'
  | 'SIZE_MISMATCH'
  | 'RANGE_NOT_SATISFIABLE'
  | 'PART_MISSING'
  | 'INVALID_KEY'
  | 'NO_SPACE'
  /** The store cannot be reached, or does not let Cairn in. */
  | 'UNAVAILABLE';

export class BlobError extends Error {
  readonly code: BlobErrorCode;
  readonly key: string;
  constructor(code: BlobErrorCode, key: string, detail?: string) {
    super(detail ? `${code}: ${key}: ${detail}` : `${code}: ${key}`);
    this.name = 'BlobError';
    this.code = code;
    this.key = key;
  }
}
