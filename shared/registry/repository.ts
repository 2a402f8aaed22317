import { CairnError } from '../errors.ts';
import type { Item, Table } from '../ports/table.ts';
import { repositoryKey } from './keys.ts';

/**
 * The root of a model's Git repository, moved by compare-and-swap. `refs/tags/v<n>` are the versions' own records and
 * `refs/aliases/*` the aliases', so that it stays small however many versions there are.
 */
export interface Repository {
  readonly format: 1;
  /** The number that the next version gets. */
  readonly nextNumber: number;
  /** Where `main` points: the version that turned READY last. */
  readonly main?: { readonly commit: string; readonly version: number };
}

export const emptyRepository = (): Repository => ({ format: 1, nextNumber: 1 });

/** @throws CairnError `MODEL_NOT_FOUND` when the model has been deleted meanwhile */
export async function readRepository(table: Table, modelId: string): Promise<Item<Repository>> {
  const item = await table.get(repositoryKey(modelId));
  if (!item) throw new CairnError('MODEL_NOT_FOUND', 'The model has been deleted.', 'model');
  return item as Item<Repository>;
}
