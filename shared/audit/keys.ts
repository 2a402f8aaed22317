import type { Key } from '../ports/table.ts';

/** Where a chain's head is: moved by compare-and-swap with every event. A chain's name is its partition. */
export const headKey = (chain: string): Key => ({ pk: chain, sk: 'audit-head' });

/** Where a chain ends. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

/** The sort keys of a chain's events. */
export const PREFIX = 'audit#';

/** Where one event of a chain is. */
export const eventKey = (chain: string, seq: number): Key => ({
  pk: chain,
  sk: `${PREFIX}${String(seq).padStart(12, '0')}`,
});
