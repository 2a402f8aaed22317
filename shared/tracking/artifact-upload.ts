import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { CairnError } from '../errors.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { Ports } from '../ports/ports.ts';
import {
  type Artifact,
  type ArtifactOwner,
  artifactsPrefix,
  newArtifactKey,
  recordArtifact,
  requirePath,
} from './artifact.ts';
import { ARTIFACT_UPLOADS, artifactUploadKey } from './keys.ts';

/** A file that arrives in parts, whose sizes nobody tells beforehand: each is an object until all are put together. */
interface ArtifactUpload {
  readonly format: 1;
  readonly id: string;
  readonly owner: ArtifactOwner;
  readonly path: string;
  readonly parts: number;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** What lets its bearer send parts of one upload until it expires. */
export interface PartPass {
  readonly expires: number;
  readonly keyId: string;
  readonly signature: string;
}

const LIFETIME_MS = 24 * 3600 * 1000;
const PARTS_MAX = 10_000;

export async function createArtifactUpload(
  ports: Ports,
  caller: Caller,
  owner: ArtifactOwner,
  path: string,
  parts: number,
): Promise<{ id: string; pass: PartPass }> {
  authorize(caller, 'contributor', owner);
  requirePath(path);
  if (parts < 1 || parts > PARTS_MAX)
    throw new CairnError('INVALID_ARGUMENT', `num_parts must be 1 to ${PARTS_MAX}.`, 'num_parts');
  const expiresAt = ports.clock.now() + LIFETIME_MS;
  const upload: ArtifactUpload = { format: 1, id: uuidv7(), owner, path, parts, expiresAt };
  await ports.table.transact([{ put: { ...artifactUploadKey(upload.id), body: upload }, if: 'absent' }]);
  const { keyId, signature } = await ports.keys.sign(messageOf(upload.id, expiresAt));
  return {
    id: upload.id,
    pass: { expires: expiresAt, keyId, signature: Buffer.from(signature).toString('base64url') },
  };
}

const messageOf = (id: string, expires: number) => Buffer.from(`artifact-upload ${id} ${expires}`);

/** Stores one part, in the place of one that was sent before. @throws CairnError `PERMISSION_DENIED`, `UPLOAD_NOT_FOUND` */
export async function putArtifactPart(
  ports: Ports,
  id: string,
  part: number,
  pass: PartPass,
  bytes: AsyncIterable<Uint8Array>,
): Promise<{ etag: string }> {
  const signature = Buffer.from(pass.signature, 'base64url');
  const genuine = await ports.keys.verify(pass.keyId, messageOf(id, pass.expires), signature);
  if (!genuine || pass.expires <= ports.clock.now())
    throw new CairnError('PERMISSION_DENIED', 'The address of the part is not signed, or has expired.');
  const upload = await findUpload(ports, id);
  if (part < 1 || part > upload.parts)
    throw new CairnError('INVALID_ARGUMENT', `The upload has parts 1 to ${upload.parts}.`, 'part_number');
  return ports.blobs.put(partKey(upload, part), bytes);
}

/** Puts the parts together; what is then there is one file, hashed. @throws CairnError `UPLOAD_INCOMPLETE` */
export async function completeArtifactUpload(ports: Ports, caller: Caller, id: string): Promise<Artifact> {
  const upload = await findUpload(ports, id);
  authorize(caller, 'contributor', upload.owner);
  const keys = Array.from({ length: upload.parts }, (_, index) => partKey(upload, index + 1));
  for (const [index, key] of keys.entries()) {
    if (!(await ports.blobs.stat(key)))
      throw new CairnError('UPLOAD_INCOMPLETE', `Part ${index + 1} has not arrived.`, 'parts');
  }
  async function* joined() {
    for (const key of keys) yield* await ports.blobs.get(key);
  }
  const key = newArtifactKey(upload.owner);
  const stat = await ports.blobs.put(key, joined());
  const artifact = await recordArtifact(ports, upload.owner, upload.path, key, stat);
  await discard(ports, upload);
  return artifact;
}

/** Gives the upload up; its parts go. Succeeds if there is none. */
export async function abortArtifactUpload(ports: Ports, caller: Caller, id: string): Promise<void> {
  const item = await ports.table.get(artifactUploadKey(id));
  if (!item) return;
  const upload = item.body as ArtifactUpload;
  authorize(caller, 'contributor', upload.owner);
  await discard(ports, upload);
}

/** Removes the parts of uploads that nobody completed in time; the controller's housekeeping. */
export async function expireArtifactUploads(ports: Ports): Promise<void> {
  for await (const { body } of itemsOf(ports.table, ARTIFACT_UPLOADS)) {
    const upload = body as ArtifactUpload;
    if (upload.expiresAt <= ports.clock.now()) await discard(ports, upload);
  }
}

async function findUpload(ports: Ports, id: string): Promise<ArtifactUpload> {
  const item = await ports.table.get(artifactUploadKey(id));
  if (!item) throw new CairnError('UPLOAD_NOT_FOUND', `There is no upload ${id}.`, 'upload_id');
  return item.body as ArtifactUpload;
}

async function discard(ports: Ports, upload: ArtifactUpload): Promise<void> {
  for (let part = 1; part <= upload.parts; part++) await ports.blobs.delete(partKey(upload, part));
  await ports.table.transact([{ delete: artifactUploadKey(upload.id), if: 'any' }]);
}

const partKey = ({ owner, id }: ArtifactUpload, part: number) =>
  `${artifactsPrefix(owner)}uploads/${id}/${part}`;
