import { CairnError } from '../../shared/errors.ts';

/** The entity tag of a record's revision. */
export const etagOf = (rev: number): string => `"${rev}"`;

/**
 * The revision that an `If-Match` header asks for; `*` is any, as long as the resource exists.
 * RFC 9110 section 13.1.1: the comparison is strong, so a weak tag can never match and is refused.
 * @throws CairnError `INVALID_ARGUMENT` unless it is `*` or one entity tag of this service
 */
export function parseIfMatch(header: string | null): number | '*' | undefined {
  if (header === null) return undefined;
  const value = header.trim();
  if (value === '*') return '*';
  const match = /^"([1-9]\d{0,15})"$/.exec(value);
  if (match) return Number(match[1]);
  const why = value.startsWith('W/')
    ? 'a weak tag never matches'
    : 'send one tag as the ETag header had it, quotes included';
  throw new CairnError('INVALID_ARGUMENT', `If-Match must be "*" or one ETag: ${why}.`, 'If-Match');
}
