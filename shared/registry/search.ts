import type { Caller } from '../access/caller.ts';
import type { ListPage, PageRequest } from '../ports/page.ts';
import type { Ports } from '../ports/ports.ts';
import { listModels, type StoredModel } from './model.ts';

/**
 * Models of a workspace in whose name, description or tags the text occurs, whatever its case, by name. Reads the
 * workspace's models page by page until `limit` are found: fit for thousands, an index is to come for more.
 */
export async function searchModels(
  ports: Pick<Ports, 'table'>,
  caller: Caller,
  query: PageRequest & { workspace: string; text: string },
): Promise<ListPage<StoredModel>> {
  const wanted = query.text.normalize('NFC').toLowerCase();
  const items: StoredModel[] = [];
  for (let after = query.after; ; ) {
    const page = await listModels(ports, caller, { workspace: query.workspace, limit: 100, after });
    for (const model of page.items) {
      if (!textOf(model).includes(wanted)) continue;
      if (items.length === query.limit) return { items, next: items.at(-1)?.name ?? '' };
      items.push(model);
    }
    if (page.next === undefined) return { items };
    after = page.next;
  }
}

const textOf = (model: StoredModel) =>
  [model.name, model.description, ...Object.entries(model.tags).flat()].join('\n').toLowerCase();
