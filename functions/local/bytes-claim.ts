import { randomUUID } from 'node:crypto';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DataDir } from '../../shared/adapters/local/data-dir.ts';
import { parseFile, syncDirectory, writeFileDurably } from '../../shared/adapters/local/durable-file.ts';
import { BlobError, type BlobStore } from '../../shared/ports/blob-store.ts';
import { readAll } from '../../shared/storage/read-all.ts';
import { isEmpty, type Place } from './bytes-move.ts';

/** Layout of what Cairn keeps in a bucket. */
const FORMAT = 1;
/** Says whose bytes are below a prefix. */
export const MARKER = 'cairn.json';

/** What a data folder knows of the bucket that has its bytes. */
interface Claim {
  readonly format: 1;
  readonly id: string;
  /** For people: where the bucket was when it was last opened. */
  readonly store: string;
  /** Whether the bucket has had the marker. */
  readonly claimed: boolean;
}

const claimFile = (dataDir: DataDir) => join(dataDir.path, 'bucket.json');
/** The claim that a move to a bucket ends with; of a move to the folder, which has none, only that it was begun. */
const moveFile = (dataDir: DataDir) => join(dataDir.path, 'bucket-move.json');

/** @throws Error if the folder's bytes are in a bucket */
export async function storedOnDisk(dataDir: DataDir): Promise<void> {
  const claim = await readClaim(claimFile(dataDir));
  if (!claim) return;
  throw new Error(
    `The bytes of the data folder ${dataDir.path} are in ${claim.store}: set CAIRN_BLOB_STORE to where they are.`,
  );
}

/**
 * Makes the bucket's prefix this data folder's, once: two Cairns below one prefix would each remove what the other has.
 * @param place names the prefix to people
 * @throws Error with a sentence if the two do not belong together
 */
export async function claimBucket(dataDir: DataDir, blobs: BlobStore, place: string): Promise<void> {
  const known = await readClaim(claimFile(dataDir));
  if (!known && (await hasBytes(dataDir)))
    throw new Error(
      `The data folder ${dataDir.path} has its bytes in itself. \`npm run move-bytes\` copies them to the bucket that CAIRN_BLOB_STORE names.`,
    );
  const claim = known ?? { format: FORMAT, id: randomUUID(), store: place, claimed: false };
  if (!known) await writeClaim(claimFile(dataDir), claim);
  const marker = await readMarker(blobs, place);
  if (marker ? marker !== claim.id : claim.claimed)
    throw new Error(
      marker
        ? claim.claimed
          ? `${place} has the bytes of another Cairn's data folder, or of this one from before they were moved: they are in ${claim.store}.`
          : `${place} has the bytes of another Cairn's data folder: choose another bucket, or a prefix: s3://bucket/prefix.`
        : `${place} does not have the bytes of the data folder ${dataDir.path}, which were in ${claim.store}.`,
    );
  if (!marker) await putMarker(blobs, claim.id, place);
  if (!claim.claimed || claim.store !== place)
    await writeClaim(claimFile(dataDir), { ...claim, store: place, claimed: true });
}

/**
 * Begins a move of the folder's bytes, or goes on with the one that was begun to the same place. Until the move has ended, they
 * are where they were: no start takes the new place, and no other Cairn does.
 * @throws Error with a sentence if they are not where it is said, or the new place has bytes of other times or folders
 */
export async function beginMove(dataDir: DataDir, from: Place, to: Place): Promise<void> {
  await (from.isBucket ? requireClaim(dataDir, from) : storedOnDisk(dataDir));
  const begun = await readClaim(moveFile(dataDir));
  const marker = to.isBucket ? await readMarker(to.blobs, to.name) : undefined;
  const goesOn = marker === undefined ? begun?.store === to.name : begun?.id === marker;
  if (!goesOn && (marker !== undefined || !(await isEmpty(to.blobs))))
    throw new Error(
      `${to.name} has bytes already, of another data folder or of an earlier time: ${to.isBucket ? 'choose another bucket or prefix, or ' : ''}remove them, and give the command again.`,
    );
  const move: Claim =
    goesOn && begun ? begun : { format: FORMAT, id: randomUUID(), store: to.name, claimed: true };
  if (!goesOn) await writeClaim(moveFile(dataDir), move);
  if (to.isBucket && marker === undefined) await putMarker(to.blobs, move.id, to.name);
}

/** From now on the bytes are in the new place, and nowhere else. */
export async function endMove(dataDir: DataDir, to: Place): Promise<void> {
  if (to.isBucket) await rename(moveFile(dataDir), claimFile(dataDir));
  else await rm(claimFile(dataDir));
  await syncDirectory(dataDir.path);
  await rm(moveFile(dataDir), { force: true });
}

async function requireClaim(dataDir: DataDir, { blobs, name }: Place): Promise<void> {
  const claim = await readClaim(claimFile(dataDir));
  if (!claim)
    throw new Error(`The bytes of the data folder ${dataDir.path} are in itself, and not in ${name}.`);
  if ((await readMarker(blobs, name)) !== claim.id)
    throw new Error(
      `${name} does not have the bytes of the data folder ${dataDir.path}, which are in ${claim.store}: set CAIRN_BLOB_STORE to where they are.`,
    );
}

async function putMarker(blobs: BlobStore, id: string, place: string): Promise<void> {
  try {
    await blobs.put(MARKER, Buffer.from(`${JSON.stringify({ format: FORMAT, id })}\n`), { ifAbsent: true });
  } catch (error) {
    if (!(error instanceof BlobError && error.code === 'EXISTS')) throw error;
    throw new Error(`${place} was taken by another Cairn just now.`, { cause: error });
  }
}

/** @returns whose the prefix is, if it is anyone's */
async function readMarker(blobs: BlobStore, place: string): Promise<string | undefined> {
  const text = await readAll(blobs, MARKER).catch((error: unknown) => {
    if (error instanceof BlobError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const marker = parseFile(`${MARKER} in ${place}`, text.toString()) as { format: number; id?: string };
  if (marker.format > FORMAT)
    throw new Error(
      `${place} has format ${marker.format}, and this Cairn knows ${FORMAT}: run a newer Cairn.`,
    );
  return marker.id ?? '';
}

async function readClaim(file: string): Promise<Claim | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    return undefined;
  });
  if (text === undefined) return undefined;
  const claim = parseFile(file, text);
  if (claim.format > FORMAT)
    throw new Error(`${file} has format ${claim.format}, and this Cairn knows ${FORMAT}: run a newer Cairn.`);
  return claim as Claim;
}

const writeClaim = (file: string, claim: Claim) => writeFileDurably(file, `${JSON.stringify(claim)}\n`);

async function hasBytes({ blobs }: DataDir): Promise<boolean> {
  const entries = await Promise.all(
    ['objects', 'journal'].map((name) =>
      readdir(join(blobs, name)).catch((error: NodeJS.ErrnoException): string[] => {
        if (error.code !== 'ENOENT') throw error;
        return [];
      }),
    ),
  );
  return entries.flat().length > 0;
}
