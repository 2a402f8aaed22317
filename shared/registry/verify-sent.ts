import type { Caller } from '../access/caller.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import { verifyUpload } from './complete-upload.ts';
import { modelChain, modelsPartition, UPLOAD_PREFIX, WORKSPACES } from './keys.ts';
import { lfsVerifying, verifyLfsObject } from './lfs-verification.ts';
import type { ModelEntry } from './model.ts';
import type { Upload } from './upload-record.ts';
import type { VerifyWork } from './verify-work.ts';

/**
 * Verifies what was ordered: an upload until its version is READY or FAILED, an object of Git LFS until the model has it
 * or it is refused.
 * @returns what came of it, or undefined if `deadline` (milliseconds since the epoch) passed first: the next call goes on
 * @throws CairnError with which {@link isRefused} if there is nothing left to be done
 */
export async function verifySent(
  ports: Ports,
  caller: Caller,
  work: VerifyWork,
  deadline: number,
): Promise<{ version?: number } | undefined> {
  if (work.lfs !== undefined)
    return (await verifyLfsObject(ports, caller, work, { deadline })) ? {} : undefined;
  const { version } = await verifyUpload(ports, caller, work, { deadline });
  return version && { version: version.number };
}

/** The version is FAILED, the object refused, or there is nothing left to verify: the order has done its work. */
export const isRefused = (error: unknown): error is CairnError =>
  error instanceof CairnError && ENDED.has(error.code);

const ENDED = new Set<CairnError['code']>([
  'DIGEST_MISMATCH',
  'SIZE_MISMATCH',
  'MODEL_FILE_INVALID',
  'FILE_NOT_FOUND',
  'UPLOAD_NOT_FOUND',
  'MODEL_NOT_FOUND',
]);

/** All that was ordered and not finished, of every model: for who lost the orders with its memory. */
export async function* workLeft({ table }: Pick<Ports, 'table'>): AsyncGenerator<VerifyWork> {
  for await (const { sk: workspace } of itemsOf(table, WORKSPACES)) {
    for await (const { sk: name, body } of itemsOf(table, modelsPartition(workspace))) {
      const { id } = body as ModelEntry;
      for await (const item of itemsOf(table, modelChain(id), UPLOAD_PREFIX)) {
        const upload = item.body as Upload;
        if (upload.state === 'VERIFYING') yield { workspace, name, upload: upload.id };
      }
      for await (const { oid, upload } of lfsVerifying(table, id))
        yield { workspace, name, upload, lfs: oid };
    }
  }
}
