import { createHash } from 'node:crypto';
import pMap from 'p-map';
import { uuidv7 } from 'uuidv7';
import type { Caller } from '../access/caller.ts';
import { authorize } from '../access/grant.ts';
import { exclusively } from '../audit/commit.ts';
import { CairnError } from '../errors.ts';
import type { BlobStat, StreamOptions } from '../ports/blob-store.ts';
import { itemsOf } from '../ports/items-of.ts';
import type { ListPage, PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import type { Op, Table } from '../ports/table.ts';
import { artifactsPartition, givenUpKey } from './keys.ts';
import { findLoggedModel } from './logged-model.ts';
import { findRun } from './run.ts';

/** Whose artifacts: a run's or a logged model's. */
export interface ArtifactOwner {
  readonly kind: 'run' | 'logged-model';
  readonly id: string;
  readonly workspace: string;
}

/** A file of a run or logged model. Another one may be put in its place at any time: versions are what does not change. */
export interface Artifact {
  readonly path: string;
  readonly size: number;
  /** Lower-case hex, where the store hashed it on its way in. */
  readonly sha256?: string;
  readonly key: string;
}

/** An entry of a folder. */
export type Entry =
  | { readonly path: string; readonly isFolder: false; readonly size: number }
  | { readonly path: string; readonly isFolder: true };

export const PATH_MAX_BYTES = 1000;
const PART_MAX_BYTES = 255;
const ENTRIES_SKIPPED = 200;
const PARALLEL = 16;

/** @throws CairnError `RUN_NOT_FOUND`, `LOGGED_MODEL_NOT_FOUND` */
export async function artifactOwner(
  table: Table,
  kind: ArtifactOwner['kind'],
  id: string,
): Promise<ArtifactOwner> {
  const { body } = kind === 'run' ? await findRun(table, id) : await findLoggedModel(table, id);
  return { kind, id, workspace: body.workspace };
}

/** Where a run's or logged model's bytes are. */
export const artifactsPrefix = ({ kind, id, workspace }: ArtifactOwner) =>
  `workspaces/${workspace}/${kind}s/${id}/`;

/** Stores one file, in the place of one that is there. Its bytes are durable before its record. */
export async function putArtifact(
  ports: Ports,
  caller: Caller,
  owner: ArtifactOwner,
  path: string,
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
  options: StreamOptions = {},
): Promise<Artifact> {
  authorize(caller, 'contributor', owner);
  requirePath(path);
  // Who cannot have the path is told before all the bytes have come.
  await refuseClash(ports.table, artifactsPartition(owner.id), path);
  const key = newArtifactKey(owner);
  const stat =
    bytes instanceof Uint8Array
      ? await ports.blobs.put(key, bytes, { sha256: createHash('sha256').update(bytes).digest('hex') })
      : await ports.blobs.put(key, bytes, options);
  try {
    return await recordArtifact(ports, owner, path, key, stat);
  } catch (error) {
    // Nothing was written then, and nobody else knows of the bytes.
    if (error instanceof CairnError) await ports.blobs.delete(key);
    throw error;
  }
}

export const newArtifactKey = (owner: ArtifactOwner) => `${artifactsPrefix(owner)}artifacts/${uuidv7()}`;

/**
 * Gives bytes that are in the store their path, in one transaction with what `also` returns; those that it had before go.
 * Changes nothing if that is undefined: the bytes have had their path before.
 * @throws CairnError `UPLOAD_NOT_FOUND` when a collection has announced that the bytes go (docs/decisions/0014)
 */
export async function recordArtifact(
  ports: Ports,
  owner: ArtifactOwner,
  path: string,
  key: string,
  { size, sha256 }: BlobStat,
  also: () => Promise<readonly Op[] | undefined> = async () => [],
): Promise<Artifact> {
  const artifact: Artifact = { path, size, key, ...(sha256 === undefined ? {} : { sha256 }) };
  const pk = artifactsPartition(owner.id);
  const before = await exclusively(`${pk}/${path}`, async () => {
    const others = await also();
    if (!others) return undefined;
    await refuseClash(ports.table, pk, path);
    const givenUp = givenUpKey(owner.id, key.slice(artifactsPrefix(owner).length));
    const [item, gone] = await ports.table.getMany([{ pk, sk: path }, givenUp]);
    if (gone)
      throw new CairnError('UPLOAD_NOT_FOUND', `The bytes of "${path}" came over a day ago and are gone.`);
    await ports.table.transact([
      { put: { pk, sk: path, body: artifact }, if: item ? { rev: item.rev } : 'absent' },
      { check: givenUp, if: 'absent' },
      ...others,
    ]);
    return item?.body as Artifact | undefined;
  });
  // Told twice at the same time, they are the same bytes.
  if (before && before.key !== key) await ports.blobs.delete(before.key);
  return artifact;
}

/** @throws CairnError `INVALID_ARGUMENT` for a path that would be a file and a folder */
export async function refuseClash(table: Table, pk: string, path: string): Promise<void> {
  const parts = path.split('/');
  const above = parts.slice(1).map((_, index) => ({ pk, sk: parts.slice(0, index + 1).join('/') }));
  const found = above.length > 0 ? await table.getMany(above.slice(0, 100)) : [];
  const file = found.find((item) => item !== undefined)?.sk;
  if (file !== undefined) throw invalidPath(`"${file}" is a file`);
  const { items } = await table.query({ pk, prefix: `${path}/`, limit: 1 });
  if (items.length > 0) throw invalidPath(`"${path}" is a folder`);
}

/** @throws CairnError `FILE_NOT_FOUND` */
export async function getArtifact(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  owner: ArtifactOwner,
  path: string,
): Promise<Artifact> {
  authorize(caller, 'viewer', owner);
  requirePath(path);
  const item = await ports.table.get({ pk: artifactsPartition(owner.id), sk: path });
  if (!item) throw new CairnError('FILE_NOT_FOUND', `There is no artifact "${path}".`, 'path');
  return item.body as Artifact;
}

/** A page of what is in a folder (`''`: the root), by name. */
export async function listArtifacts(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  owner: ArtifactOwner,
  folder: string,
  page: PageRequest,
): Promise<ListPage<Entry>> {
  authorize(caller, 'viewer', owner);
  if (folder !== '') requirePath(folder);
  const prefix = folder === '' ? '' : `${folder}/`;
  const items: Entry[] = [];
  let after = page.after;
  for (;;) {
    const found = await ports.table.query({
      pk: artifactsPartition(owner.id),
      prefix,
      limit: ENTRIES_SKIPPED,
      ...(after === undefined ? {} : { after }),
    });
    let skipped = false;
    for (const { sk, body } of found.items) {
      // What is left of a folder that was listed just now.
      if (after !== undefined && sk < after) continue;
      if (items.length === page.limit) return { items, next: after ?? '' };
      const rest = sk.slice(prefix.length);
      const slash = rest.indexOf('/');
      if (slash < 0) {
        items.push({ path: sk, isFolder: false, size: (body as Artifact).size });
        after = sk;
        continue;
      }
      const path = sk.slice(0, prefix.length + slash);
      items.push({ path, isFolder: true });
      after = `${path}/\u{10FFFF}`;
      skipped = true;
      break;
    }
    if (!skipped && !found.more) return { items };
    if (!skipped) after = found.items.at(-1)?.sk ?? after;
  }
}

/** Every file below a folder, by path; the file itself where the path is one. */
export async function artifactsBelow(
  table: Table,
  owner: ArtifactOwner,
  folder: string,
): Promise<Artifact[]> {
  const pk = artifactsPartition(owner.id);
  if (folder !== '') {
    const file = await table.get({ pk, sk: folder });
    if (file) return [file.body as Artifact];
  }
  const items = await Array.fromAsync(itemsOf(table, pk, folder === '' ? '' : `${folder}/`));
  return items.map(({ body }) => body as Artifact);
}

/** Deletes a file, or everything below a folder. */
export async function deleteArtifacts(
  ports: Ports,
  caller: Caller,
  owner: ArtifactOwner,
  path: string,
): Promise<void> {
  authorize(caller, 'contributor', owner);
  if (path !== '') requirePath(path);
  const pk = artifactsPartition(owner.id);
  const artifacts = await artifactsBelow(ports.table, owner, path);
  await pMap(
    artifacts,
    async ({ path: sk, key }) => {
      // What was put in its place meanwhile is another file, which stays.
      const deleted = await exclusively(`${pk}/${sk}`, async () => {
        const item = await ports.table.get({ pk, sk });
        if (!item || (item.body as Artifact).key !== key) return false;
        await ports.table.transact([{ delete: { pk, sk }, if: { rev: item.rev } }]);
        return true;
      });
      if (deleted) await ports.blobs.delete(key);
    },
    { concurrency: PARALLEL },
  );
}

/** @throws CairnError `INVALID_ARGUMENT` */
export function requirePath(path: string): void {
  const parts = path.split('/');
  if (!path.isWellFormed() || path.includes('\0')) throw invalidPath('it is not valid text');
  if (Buffer.byteLength(path) > PATH_MAX_BYTES) throw invalidPath(`it has over ${PATH_MAX_BYTES} bytes`);
  if (parts.some((part) => part === '' || part === '.' || part === '..'))
    throw invalidPath('it has an empty, "." or ".." part');
  if (parts.some((part) => Buffer.byteLength(part) > PART_MAX_BYTES))
    throw invalidPath(`it has a part of over ${PART_MAX_BYTES} bytes`);
}

const invalidPath = (why: string) =>
  new CairnError('INVALID_ARGUMENT', `The artifact's path is invalid: ${why}.`, 'path');
