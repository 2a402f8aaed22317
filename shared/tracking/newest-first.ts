import type { Ports } from '../ports/ports.ts';
import { turns } from '../registry/git/turns.ts';

/** Records that are read at the same time. */
const READ_AT_ONCE = 100;

/**
 * What a partition lists under `<time>#<id>`, newest first and after `start`, a page of it at a time, with a turn for others in
 * between.
 */
export async function* newestFirst<T>(
  { table }: Pick<Ports, 'table'>,
  pk: string,
  read: (id: string) => Promise<T | undefined>,
  start?: string,
): AsyncGenerator<T> {
  const turn = turns();
  for (let after = start; ; ) {
    const page = await table.query({
      pk,
      reverse: true,
      limit: READ_AT_ONCE,
      ...(after === undefined ? {} : { after }),
    });
    const found = await Promise.all(page.items.map(({ sk }) => read(sk.slice(sk.indexOf('#') + 1))));
    for (const each of found) {
      await turn();
      if (each !== undefined) yield each;
    }
    after = page.items.at(-1)?.sk;
    if (!page.more) return;
  }
}
