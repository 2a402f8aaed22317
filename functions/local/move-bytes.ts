import process from 'node:process';
import { whyUnavailable } from '../../shared/adapters/aws/s3-error.ts';
import { type DataDir, openDataDir } from '../../shared/adapters/local/data-dir.ts';
import { openFilesystemBlobStore } from '../../shared/adapters/local/filesystem-blob-store.ts';
import { systemClock } from '../../shared/adapters/local/system-clock.ts';
import { BlobError } from '../../shared/ports/blob-store.ts';
import { BlobLocation, locationText } from './blob-location.ts';
import { openBucket } from './bucket-bytes.ts';
import { beginMove, endMove } from './bytes-claim.ts';
import { type Amount, copyBytes, type Place } from './bytes-move.ts';
import { parseSettings } from './settings.ts';

/** `npm run move-bytes`: takes a data folder's bytes from the folder or a bucket to another of them, while Cairn is stopped. */

const HELP = `Takes the bytes of models elsewhere, while Cairn is stopped. Given again, it goes on where it stopped.

  CAIRN_BLOB_STORE=<bucket> npm run move-bytes                  from the data folder to the bucket
  CAIRN_BLOB_STORE=<bucket> npm run move-bytes -- folder        from the bucket to the data folder
  CAIRN_BLOB_STORE=<bucket> npm run move-bytes -- <bucket>      from one bucket to another

A bucket is s3://<bucket>[/<prefix>][?endpoint=https://…&region=…]. CAIRN_DATA_DIR names the data folder (./data).
`;
/** Milliseconds between two lines of progress. */
const PROGRESS_EVERY = 2000;

const args = process.argv.slice(2);
if (args.some((word) => word === '--help' || word === '-h')) {
  process.stdout.write(HELP);
  process.exit(0);
}
const [where, more] = args;
if (more !== undefined) fail([`One place to move to is enough: "${more}" is too much.`], 2);
const target = where === undefined || where === 'folder' ? where : bucketNamed(where);

const settings = parseSettings(process.env);
if ('problems' in settings) fail(settings.problems, 2);
const { blobStore } = settings;
if (!blobStore)
  fail(
    [
      target === undefined
        ? 'CAIRN_BLOB_STORE: names the bucket that the bytes go to, and is not set.'
        : 'CAIRN_BLOB_STORE: names the bucket that the bytes are in, and is not set.',
      'Without a word after it, `npm run move-bytes` takes them from the data folder to that bucket; `npm run move-bytes -- --help` tells more.',
    ],
    2,
  );

let dataDir: DataDir | undefined;
let isUnderWay = false;
try {
  dataDir = await openDataDir(settings.dataDir);
  const from = target === undefined ? await folderOf(dataDir) : await bucketAt(blobStore, 'CAIRN_BLOB_STORE');
  const to = await placeOf(dataDir);
  await beginMove(dataDir, from, to);
  isUnderWay = true;
  const { copied, there } = await copyBytes(from.blobs, to.blobs, progress());
  await endMove(dataDir, to);
  const rest = there > 0 ? `, ${there} were there already` : '';
  process.stdout.write(
    `Copied ${copied.objects} objects (${copied.bytes} bytes) to ${to.name}${rest}.\n${next(from, to)}\n`,
  );
} catch (error) {
  const sentences = [sentenceOf(error)];
  if (isUnderWay)
    sentences.push('The bytes are still used where they were. The same command goes on where it stopped.');
  fail(sentences, 1);
}
dataDir.release();

async function placeOf(dataDir: DataDir): Promise<Place> {
  if (target === 'folder') return folderOf(dataDir);
  if (target) return bucketAt(target, 'The bucket to move to');
  return bucketAt(blobStore as BlobLocation, 'CAIRN_BLOB_STORE');
}

async function folderOf({ blobs: root }: DataDir): Promise<Place> {
  const blobs = await openFilesystemBlobStore({
    root,
    baseUrl: () => '',
    signingKey: new Uint8Array(),
    clock: systemClock,
  });
  return { name: root, blobs, isBucket: false };
}

async function bucketAt(location: BlobLocation, setting: string): Promise<Place> {
  return { name: locationText(location), blobs: await openBucket(location, setting), isBucket: true };
}

function bucketNamed(text: string): BlobLocation {
  const { data, error } = BlobLocation.safeParse(text);
  if (data) return data;
  return fail([`"${text}" ${error?.issues[0]?.message}, or "folder".`], 2);
}

function next(from: Place, to: Place): string {
  const start = to.isBucket
    ? 'Start Cairn with CAIRN_BLOB_STORE set to it.'
    : 'Start Cairn without CAIRN_BLOB_STORE.';
  const old = from.isBucket ? `workspaces/ and cairn.json below ${from.name}` : from.name;
  return `${start} When all is well, ${old} can be removed.`;
}

/** A line on stderr now and then. */
function progress(): (done: Amount, all: Amount) => void {
  let told = performance.now();
  return (done, all) => {
    if (performance.now() - told < PROGRESS_EVERY) return;
    told = performance.now();
    const percent = all.bytes === 0 ? 100 : Math.min(100, Math.floor((done.bytes / all.bytes) * 100));
    process.stderr.write(
      `${percent} %: ${done.objects} of ${all.objects} objects, ${megabytes(done)} of ${megabytes(all)} MB\n`,
    );
  };
}

function megabytes({ bytes }: Amount): string {
  return (bytes / 1e6).toFixed(1);
}

function sentenceOf(error: unknown): string {
  if (error instanceof BlobError && error.code === 'NO_SPACE') return 'The disk is full: make room on it.';
  if (error instanceof BlobError && error.code === 'UNAVAILABLE')
    return `The bucket cannot be used: ${whyUnavailable(error.cause).replace(/\.?$/, '.')}`;
  return error instanceof Error ? error.message : String(error);
}

function fail(sentences: readonly string[], code: number): never {
  for (const sentence of sentences) process.stderr.write(`cairn: ${sentence}\n`);
  process.exit(code);
}
