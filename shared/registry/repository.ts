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
  readonly main?: MainBranch;
  /** The number of the youngest pack. */
  readonly packs?: number;
  /** Branches and tags that were pushed. */
  readonly refs?: RefTable;
  /** Somebody has pushed: files may be named by history alone, and not by a version. */
  readonly pushed?: true;
  /** The pack file that holds what the packs up to a number held. */
  readonly consolidated?: Consolidated;
  readonly sweeps?: Sweeps;
}

/** Garbage collections by number: while the last has not ended, the bytes that its record names may go. */
export interface Sweeps {
  readonly last: number;
  readonly ended: number;
  /** When the last one began. */
  readonly at: number;
}

export interface Consolidated {
  /** The number of the youngest pack that is in it. */
  readonly upTo: number;
  readonly name: string;
  readonly at: number;
  /** As in a pack's item. */
  readonly tips?: readonly string[];
}

export interface MainBranch {
  readonly commit: string;
  readonly version: number;
  /** Somebody else made the commit: its trees cannot be worked out from its file list. */
  readonly pushed?: true;
  /** Its `.gitattributes`, if somebody's own lines stand in it. */
  readonly attributes?: string;
}

/** Refs by name; too many for an item are in an immutable object. An annotated tag has what it names beside it. */
export type RefTable = { readonly names: Readonly<Record<string, RefValue>> } | { readonly blob: string };
export type RefValue = string | readonly [oid: string, peeled: string];

/** The number of the youngest pack; before packs had numbers of their own they had their version's. */
export const lastPack = (root: Repository): number => root.packs ?? root.nextNumber - 1;

export const emptyRepository = (): Repository => ({ format: 1, nextNumber: 1 });

/** @throws CairnError `MODEL_NOT_FOUND` when the model has been deleted meanwhile */
export async function readRepository(table: Table, modelId: string): Promise<Item<Repository>> {
  const item = await table.get(repositoryKey(modelId));
  if (!item) throw new CairnError('MODEL_NOT_FOUND', 'The model has been deleted.', 'model');
  return item as Item<Repository>;
}
