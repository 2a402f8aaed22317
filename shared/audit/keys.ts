import type { Key } from '../ports/table.ts';

/** Where a chain's head is: moved by compare-and-swap with every event. A chain's name is its partition. */
export const headKey = (chain: string): Key => ({ pk: chain, sk: 'audit-head' });

/** Where one event of a chain is. */
export const eventKey = (chain: string, seq: number): Key => ({
  pk: chain,
  sk: `audit#${String(seq).padStart(12, '0')}`,
});
