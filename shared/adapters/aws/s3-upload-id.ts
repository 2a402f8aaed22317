import { BlobError, type MultipartShape } from '../../ports/blob-store.ts';

/** S3 forgets how large an upload is to be, so the id that Cairn hands out tells it: `<size>.<part size>.<S3's id>`. */
export interface ShapedUpload extends MultipartShape {
  readonly UploadId: string;
}

export const shapedUploadId = ({ size, partSize, UploadId }: ShapedUpload): string =>
  `${size.toString(36)}.${partSize.toString(36)}.${UploadId}`;

/** @throws BlobError `NOT_FOUND` for what is no such id */
export function parseUploadId(key: string, uploadId: string): ShapedUpload {
  const [, size = '', partSize = '', UploadId] =
    /^([0-9a-z]{1,11})\.([0-9a-z]{1,11})\.(.+)$/.exec(uploadId) ?? [];
  if (UploadId === undefined) throw new BlobError('NOT_FOUND', key, 'there is no such upload');
  return { size: Number.parseInt(size, 36), partSize: Number.parseInt(partSize, 36), UploadId };
}

/** How many parts the upload has; an empty object has one. */
export const partsOf = ({ size, partSize }: MultipartShape): number =>
  Math.max(1, Math.ceil(size / partSize));
