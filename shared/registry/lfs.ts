import { randomBytes } from 'node:crypto';
import pMap from 'p-map';
import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { CairnError } from '../errors.ts';
import { BlobError } from '../ports/blob-store.ts';
import type { Ports } from '../ports/ports.ts';
import { admit } from '../storage/admit.ts';
import { PART_BYTES_MAX, partLength, planParts } from '../storage/part-plan.ts';
import { blobKey, lfsStagingKey } from '../storage/prefix.ts';
import { checkSize } from '../storage/verify.ts';
import { lfsUploadKey } from './keys.ts';
import { promiseObjects } from './lfs-promise.ts';
import { lfsState, reorderIfLost, verifyLfsLater } from './lfs-verification.ts';
import { findModel, type ModelRef, type StoredModel } from './model.ts';
import { HASHED_AT_ONCE, type VerifyLater } from './verify-work.ts';

/** An object of Git LFS: a file's bytes, named by their SHA-256. */
export interface LfsObject {
  readonly oid: string;
  readonly size: number;
}

export type LfsAnswer = LfsObject & {
  /** Nothing to be done: the model has it (an upload). */
  readonly url?: string;
  /** Names the upload when it is verified. */
  readonly upload?: string;
  /** Where each part is put, if it goes in parts. */
  readonly parts?: LfsParts;
  readonly error?: { readonly code: 404 | 422; readonly message: string };
};

export interface LfsParts {
  readonly size: number;
  readonly urls: readonly string[];
  /** A secret name: with it the parts are put together, without a token. */
  readonly name: string;
}

interface PartUpload {
  readonly format: 1;
  readonly key: string;
  readonly uploadId: string;
}

/** Seconds that a URL is good for. */
export const LFS_URL_LIFETIME = 3600;
const PARALLEL = 16;

/** Where to get each object. */
export async function lfsDownloads(
  ports: Pick<Ports, 'table' | 'blobs' | 'clock'>,
  caller: Caller,
  ref: ModelRef,
  objects: readonly LfsObject[],
): Promise<LfsAnswer[]> {
  authorize(caller, 'viewer', ref);
  const model = await findModel(ports.table, ref);
  return pMap(
    objects,
    async (object): Promise<LfsAnswer> => {
      const wrong = problemOf(object);
      if (wrong !== undefined) return { ...object, error: { code: 422, message: wrong } };
      const key = blobKey(model.workspace, model.id, object.oid);
      const stat = await ports.blobs.stat(key);
      if (!stat) return { ...object, error: { code: 404, message: await whyMissing(ports, model, object) } };
      if (stat.size !== object.size)
        return { ...object, error: { code: 422, message: `The object has ${stat.size} bytes.` } };
      return { ...object, url: await ports.blobs.presignGet(key, { expiresIn: LFS_URL_LIFETIME }) };
    },
    { concurrency: PARALLEL },
  );
}

async function whyMissing(
  ports: Pick<Ports, 'table' | 'clock'>,
  model: StoredModel,
  { oid }: LfsObject,
): Promise<string> {
  const verifying = (await lfsState(ports, model, oid))?.state === 'VERIFYING';
  return verifying
    ? 'The object is still being verified: try again in a minute.'
    : 'The model has no such object.';
}

/**
 * Where to put each object that the model does not have; {@link verifyLfs} then takes it in. One that was sent and is
 * being verified need not be sent again.
 * @param inParts as the `multipart` transfer of Hugging Face's client: {@link completeParts} comes before
 * @param later as {@link verifyLfs} takes it: what is being verified for too long is ordered again
 */
export async function lfsUploads(
  ports: Pick<Ports, 'table' | 'blobs' | 'clock'>,
  caller: Caller,
  ref: ModelRef,
  objects: readonly LfsObject[],
  { inParts = false, later }: { inParts?: boolean; later?: VerifyLater | undefined } = {},
): Promise<LfsAnswer[]> {
  authorize(caller, 'contributor', ref);
  const model = await findModel(ports.table, ref);
  const stat = (oid: string) => ports.blobs.stat(blobKey(model.workspace, model.id, oid));
  const valid = objects.filter((object) => problemOf(object) === undefined).map(({ oid }) => oid);
  const found = await pMap(valid, async (oid) => ((await stat(oid)) ? [oid] : []), { concurrency: PARALLEL });
  const there = new Set(found.flat());
  await promiseObjects(ports, model, [...there]);
  return pMap(
    objects,
    async (object): Promise<LfsAnswer> => {
      const { oid, size } = object;
      const wrong = problemOf(object);
      if (wrong !== undefined) return { ...object, error: { code: 422, message: wrong } };
      if (size > PART_BYTES_MAX && !inParts)
        return { ...object, error: { code: 422, message: 'Files over 5 GiB are sent by `cairn push`.' } };
      const known = there.has(oid) ? await stat(oid) : undefined;
      if (known?.size === size) return object;
      if (known) return { ...object, error: { code: 422, message: `The object has ${known.size} bytes.` } };
      const sent = later && (await lfsState(ports, model, oid));
      if (later && sent?.state === 'VERIFYING' && sent.size === size) {
        await reorderIfLost(ports, model, sent, later);
        return object;
      }
      const upload = uuidv7();
      if (inParts && size > 0)
        return { ...object, upload, parts: await beginParts(ports, model, upload, size) };
      const url = await ports.blobs.presignPut(lfsStagingKey(model.workspace, model.id, upload), {
        expiresIn: LFS_URL_LIFETIME,
        size,
      });
      return { ...object, url, upload };
    },
    { concurrency: PARALLEL },
  );
}

async function beginParts(
  ports: Pick<Ports, 'table' | 'blobs' | 'clock'>,
  model: StoredModel,
  upload: string,
  size: number,
): Promise<LfsParts> {
  const key = lfsStagingKey(model.workspace, model.id, upload);
  const plan = planParts(size);
  const { uploadId } = await ports.blobs.createMultipart(key, { size, partSize: plan.partSize });
  const urls = await pMap(
    Array.from({ length: plan.parts }, (_, index) => index + 1),
    (number) =>
      ports.blobs.presignPart(key, uploadId, {
        number,
        size: partLength(size, plan, number),
        expiresIn: PARTS_LIFETIME,
      }),
    { concurrency: PARALLEL },
  );
  const name = randomBytes(16).toString('hex');
  const body: PartUpload = { format: 1, key, uploadId };
  const expiresAt = Math.floor(ports.clock.now() / 1000) + PARTS_LIFETIME;
  await ports.table.transact([{ put: { ...lfsUploadKey(model.id, name), body, expiresAt }, if: 'absent' }]);
  return { size: plan.partSize, urls, name };
}

/** Seconds that the parts of a large object may take. */
const PARTS_LIFETIME = 24 * 3600;

/**
 * Puts the parts of an object together, for who knows the name that {@link lfsUploads} gave: the object is then verified.
 * @throws CairnError `UPLOAD_NOT_FOUND`, `UPLOAD_INCOMPLETE`
 */
export async function completeParts(
  ports: Pick<Ports, 'table' | 'blobs' | 'clock'>,
  ref: ModelRef,
  name: string,
): Promise<void> {
  const unknown = () => new CairnError('UPLOAD_NOT_FOUND', 'There is no such upload.');
  const model = await findModel(ports.table, ref).catch(() => Promise.reject(unknown()));
  const item = await ports.table.get(lfsUploadKey(model.id, name));
  if (!item || (item.expiresAt ?? 0) * 1000 <= ports.clock.now()) throw unknown();
  const { key, uploadId } = item.body as PartUpload;
  if (await ports.blobs.stat(key)) return;
  try {
    await ports.blobs.completeMultipart(key, uploadId, await ports.blobs.listParts(key, uploadId));
  } catch (error) {
    if (error instanceof BlobError && error.code === 'PART_MISSING')
      throw new CairnError('UPLOAD_INCOMPLETE', 'A part has not arrived.', 'parts');
    throw error;
  }
}

/**
 * Brings an uploaded object to its content address once its bytes are found to be what its name says.
 * @param later with it, an object that is too large for a request is verified afterwards; who needs it has to wait
 * @throws CairnError `UPLOAD_INCOMPLETE`, `SIZE_MISMATCH`, `DIGEST_MISMATCH`
 */
export async function verifyLfs(
  ports: Pick<Ports, 'table' | 'blobs' | 'clock'>,
  caller: Caller,
  ref: ModelRef,
  { oid, size }: LfsObject,
  upload: string | undefined,
  later?: VerifyLater,
): Promise<void> {
  authorize(caller, 'contributor', ref);
  const wrong = problemOf({ oid, size });
  if (wrong !== undefined) throw new CairnError('INVALID_ARGUMENT', wrong, 'oid');
  const model = await findModel(ports.table, ref);
  const announced = { path: oid, size, sha256: oid };
  const key = blobKey(model.workspace, model.id, oid);
  const there = await ports.blobs.stat(key);
  if (there) {
    checkSize(announced, there.size);
    return;
  }
  const staged = upload === undefined ? undefined : lfsStagingKey(model.workspace, model.id, upload);
  const stat = staged && (await ports.blobs.stat(staged));
  if (!upload || !staged || !stat) {
    throw new CairnError('UPLOAD_INCOMPLETE', `The object ${oid} has not arrived.`, 'oid');
  }
  checkSize(announced, stat.size);
  if (later && stat.sha256 === undefined && size > HASHED_AT_ONCE) {
    await verifyLfsLater(ports, model, { oid, size }, upload, later);
    return;
  }
  await admit(ports.blobs, { key: staged, stat, path: oid, sha256: oid }, () => key);
  await ports.blobs.delete(staged);
}

function problemOf({ oid, size }: LfsObject): string | undefined {
  if (!/^[0-9a-f]{64}$/.test(oid)) return 'oid must be 64 lower-case hexadecimal digits.';
  if (!Number.isSafeInteger(size) || size < 0) return 'size must be a number of bytes.';
  return undefined;
}
