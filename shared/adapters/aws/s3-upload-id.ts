import { BlobError, type MultipartShape } from '../../ports/blob-store.ts';

/**
 * S3 forgets how large an upload is to be, so the id that Cairn hands out tells it: `<size>.<part size>.<S3's id>`, or
 * `*.<parts>.<S3's id>` where the sizes are not known.
 */
interface ShapedUpload {
  readonly shape: MultipartShape;
  readonly UploadId: string;
}

export function shapedUploadId({ shape, UploadId }: ShapedUpload): string {
  const [first, second] = 'parts' in shape ? ['*', shape.parts] : [shape.size.toString(36), shape.partSize];
  return `${first}.${second.toString(36)}.${UploadId}`;
}

/** @throws BlobError `NOT_FOUND` for what is no such id */
export function parseUploadId(key: string, uploadId: string): ShapedUpload {
  const [, first = '', second = '', UploadId] =
    /^(\*|[0-9a-z]{1,11})\.([0-9a-z]{1,11})\.(.+)$/.exec(uploadId) ?? [];
  if (UploadId === undefined) throw new BlobError('NOT_FOUND', key, 'there is no such upload');
  const number = Number.parseInt(second, 36);
  const shape = first === '*' ? { parts: number } : { size: Number.parseInt(first, 36), partSize: number };
  return { shape, UploadId };
}

/** How many parts the upload has; an empty object has one. */
export const partsOf = (shape: MultipartShape): number =>
  'parts' in shape ? shape.parts : Math.max(1, Math.ceil(shape.size / shape.partSize));
