import { CairnError } from '../errors.ts';
import { compareBy } from './order-by.ts';

/** One term of the order that a list is in; the last one tells any two of its items apart. */
export interface SortTerm<T> {
  readonly value: (item: T) => string | number | undefined;
  readonly ascending: boolean;
}

type Value = string | number | undefined;

/** Texts that agree in so many characters are ordered by the next term: where a page ends is part of its token. */
const TEXT_COMPARED = 250;

/**
 * A page of a list that was read whole, in this order, and the token of the next one: it tells what the last item was ordered by, so
 * that items that are added or removed between two pages make no other one appear twice or never.
 * @throws CairnError `INVALID_ARGUMENT` about the field `page_token`
 */
export function keysetPage<T>(
  all: readonly T[],
  terms: readonly SortTerm<T>[],
  pageToken: string | undefined,
  limit: number,
): { items: readonly T[]; next?: string } {
  const keyed = all.map((item) => ({ item, key: terms.map(({ value }) => compared(value(item))) }));
  const compare = (a: readonly Value[], b: readonly Value[]): number => {
    for (const [index, { ascending }] of terms.entries()) {
      const difference = compareBy(a[index], b[index], ascending);
      if (difference !== 0) return difference;
    }
    return 0;
  };
  keyed.sort((a, b) => compare(a.key, b.key));
  const after = pageToken ? positionOf(pageToken, terms.length) : undefined;
  const rest = after ? keyed.filter(({ key }) => compare(key, after) > 0) : keyed;
  const page = rest.slice(0, limit);
  const items = page.map(({ item }) => item);
  const last = page.at(-1);
  return last && rest.length > limit ? { items, next: positionToken(last.key) } : { items };
}

const compared = (value: Value): Value => (typeof value === 'string' ? value.slice(0, TEXT_COMPARED) : value);

/** A place in an order, as the token of a page. JSON has no infinities and nothing that is absent: they stand in lists. */
export const positionToken = (key: readonly Value[]): string =>
  Buffer.from(
    JSON.stringify({
      after: key.map((value) =>
        value === undefined
          ? []
          : typeof value === 'number' && !Number.isFinite(value)
            ? [String(value)]
            : value,
      ),
    }),
  ).toString('base64');

/** @throws CairnError `INVALID_ARGUMENT` about the field `page_token` for one of another order */
export function positionOf(pageToken: string, length: number): Value[] {
  try {
    const { after } = JSON.parse(Buffer.from(pageToken, 'base64').toString()) as { after: unknown };
    if (Array.isArray(after) && after.length === length) return after.map(valueSent);
  } catch {
    // Answered below, as every other token that is none.
  }
  throw notOfThisSearch();
}

export const notOfThisSearch = () =>
  new CairnError('INVALID_ARGUMENT', 'The page token is not one of this search.', 'page_token');

function valueSent(sent: unknown): Value {
  if (typeof sent === 'string' || typeof sent === 'number') return sent;
  if (Array.isArray(sent) && sent.length === 0) return undefined;
  if (Array.isArray(sent) && /^(NaN|-?Infinity)$/.test(String(sent[0]))) return Number(sent[0]);
  throw new TypeError('no value of a position');
}
