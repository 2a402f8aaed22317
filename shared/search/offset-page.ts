import { notOfThisSearch } from './keyset-page.ts';

/** A page of a list that was made whole, and the token of the next one. */
export function offsetPage<T>(
  all: readonly T[],
  pageToken: string | undefined,
  limit: number,
): { items: readonly T[]; next?: string } {
  const offset = offsetOf(pageToken);
  const items = all.slice(offset, offset + limit);
  return offset + limit < all.length ? { items, next: tokenOf(offset + limit) } : { items };
}

/** The token that MLflow's own clients have seen: base64 of `{"offset": n}`. */
const tokenOf = (offset: number) => Buffer.from(JSON.stringify({ offset })).toString('base64');

/** @throws CairnError `INVALID_ARGUMENT` about the field `page_token` */
function offsetOf(pageToken: string | undefined): number {
  if (!pageToken) return 0;
  try {
    const { offset } = JSON.parse(Buffer.from(pageToken, 'base64').toString());
    if (Number.isSafeInteger(offset) && offset > 0) return offset;
  } catch {
    // Answered below, as every other token that is none.
  }
  throw notOfThisSearch();
}
