import process from 'node:process';
import pMap from 'p-map';
import { type DataDir, openDataDir } from '../../shared/adapters/local/data-dir.ts';
import { openFilesystemBlobStore } from '../../shared/adapters/local/filesystem-blob-store.ts';
import { systemClock } from '../../shared/adapters/local/system-clock.ts';
import type { BlobEntry, BlobStore } from '../../shared/ports/blob-store.ts';
import { type BlobLocation, locationText } from './blob-location.ts';
import { openBucket, telling } from './bucket-bytes.ts';
import { claimBucket, storedOnDisk } from './bytes-claim.ts';
import { parseSettings } from './settings.ts';

/** `npm run move-bytes`: copies a data folder's bytes to the bucket of CAIRN_BLOB_STORE, while Cairn is stopped. */

const PARALLEL = 16;

const settings = parseSettings(process.env);
if ('problems' in settings) fail(settings.problems);
if (!settings.blobStore) fail(['CAIRN_BLOB_STORE: names the bucket that the bytes go to, and is not set.']);
try {
  const dataDir = await openDataDir(settings.dataDir);
  const { copied, there, bytes } = await moveBytes(dataDir, settings.blobStore);
  dataDir.release();
  const rest = there > 0 ? `, ${there} were there already` : '';
  process.stdout.write(
    `Copied ${copied} objects (${bytes} bytes) to ${locationText(settings.blobStore)}${rest}.\n` +
      `Start Cairn with the same CAIRN_BLOB_STORE. When all is well, ${dataDir.blobs} can be removed.\n`,
  );
} catch (error) {
  fail([error instanceof Error ? error.message : String(error)]);
}

/** May be called again after an interruption: what is there already is not sent again. */
async function moveBytes(dataDir: DataDir, location: BlobLocation) {
  await storedOnDisk(dataDir);
  const place = locationText(location);
  const to = await openBucket(location);
  const from = await openFilesystemBlobStore({
    root: dataDir.blobs,
    baseUrl: () => '',
    signingKey: new Uint8Array(),
    clock: systemClock,
  });
  const found = { copied: 0, there: 0, bytes: 0 };
  await pMap(
    everyObject(from),
    async ({ key, size }) => {
      if ((await to.stat(key))?.size === size) {
        found.there++;
        return;
      }
      const sha256 = /\/([0-9a-f]{64})$/.exec(key)?.[1];
      await to.put(key, await from.get(key), { size, ...(sha256 === undefined ? {} : { sha256 }) });
      found.copied++;
      found.bytes += size;
    },
    { concurrency: PARALLEL },
  ).catch(telling(place));
  await claimBucket(dataDir, to, place, { moved: true }).catch(telling(place));
  return found;
}

async function* everyObject(store: BlobStore): AsyncGenerator<BlobEntry> {
  for (let after: string | undefined; ; ) {
    const page = await store.list('', after === undefined ? {} : { after });
    yield* page.objects;
    after = page.objects.at(-1)?.key;
    if (!page.more) return;
  }
}

function fail(sentences: readonly string[]): never {
  for (const sentence of sentences) process.stderr.write(`cairn: ${sentence}\n`);
  process.exit(1);
}
