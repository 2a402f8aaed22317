import { createHash } from 'node:crypto';
import type { ObjectDatabase } from './object-database.ts';
import type { Selected } from './objects-to-send.ts';
import { packHeader } from './pack.ts';
import { readEntryHeader, wholeEntry } from './pack-entry.ts';
import { turns } from './turns.ts';

/**
 * The pack of the selected objects, entry after entry as they are stored. A delta whose base the client would not have
 * is sent as the whole object. @param thin the client completes deltas against objects that it has
 * @param whole entries of another pack that go first, as they are
 */
export async function* streamPack(
  database: ObjectDatabase,
  { objects, known }: Selected,
  thin: boolean,
  whole?: { readonly size: number; readonly entries: AsyncIterable<Uint8Array> },
): AsyncGenerator<Uint8Array> {
  const sha1 = createHash('sha1');
  const header = packHeader(objects.size + (whole?.size ?? 0));
  sha1.update(header);
  yield header;
  for await (const bytes of whole?.entries ?? []) {
    sha1.update(bytes);
    yield bytes;
  }
  const turn = turns();
  for (const oid of objects) {
    await turn();
    let entry = await database.entry(oid);
    const { base } = readEntryHeader(entry, 0);
    if (base !== undefined && !objects.has(base as string) && !(thin && known.has(base as string))) {
      const object = await database.read(oid);
      if (object) entry = wholeEntry(object);
    }
    sha1.update(entry);
    yield entry;
  }
  yield sha1.digest();
}
