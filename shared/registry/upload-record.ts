import { CairnError } from '../errors.ts';
import type { Ports } from '../ports/ports.ts';
import type { Item } from '../ports/table.ts';
import type { Checked } from '../storage/admit.ts';
import { uploadKey } from './keys.ts';
import type { ModelRef, StoredModel } from './model.ts';

/** Files on their way: a PENDING version whose bytes arrive part by part, for as long as it takes within the expiry. */
export interface Upload {
  readonly format: 1;
  readonly id: string;
  readonly version: number;
  readonly state: 'OPEN' | 'VERIFYING' | 'COMPLETED' | 'ABORTED';
  /** How far verification has come in the file of that index, and in which of its objects, when it takes several runs. */
  readonly checked?: Checked & { readonly file: number };
  /** When its verification was ordered, or came further. */
  readonly verifyingAt?: number;
  readonly createdAt: number;
  readonly createdBy: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface UploadRef extends ModelRef {
  readonly upload: string;
}

/** An upload's record. @throws CairnError `UPLOAD_NOT_FOUND` */
export async function findUpload(
  ports: Pick<Ports, 'table'>,
  model: StoredModel,
  upload: string,
): Promise<Item<Upload>> {
  const item = await ports.table.get(uploadKey(model.id, upload));
  if (!item) throw new CairnError('UPLOAD_NOT_FOUND', `"${model.name}" has no upload "${upload}".`, 'upload');
  return item as Item<Upload>;
}

/** @throws CairnError `UPLOAD_NOT_FOUND` for one that has ended */
export function requireOpen(upload: Upload): void {
  if (!isOpen(upload)) throw new CairnError('UPLOAD_NOT_FOUND', `The upload is ${upload.state}.`, 'upload');
}

/** Whether it may still become a version. */
export const isOpen = ({ state }: Upload) => state === 'OPEN' || state === 'VERIFYING';
