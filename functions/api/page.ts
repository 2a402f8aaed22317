import * as z from 'zod';
import { later } from './later.ts';

const LIMIT_MAX = 1000;

/** How many items a page has at most. */
export const Limit = z
  .string()
  .regex(/^\d{1,4}$/, `must be a number from 1 to ${LIMIT_MAX}`)
  .transform(Number)
  .refine((limit) => limit >= 1 && limit <= LIMIT_MAX, `must be a number from 1 to ${LIMIT_MAX}`)
  .default(100)
  .meta({
    type: 'integer',
    minimum: 1,
    maximum: LIMIT_MAX,
    pattern: undefined,
    description: 'Items in a page at most.',
  });

/** Where a page begins: the sort key of the last item before it, which clients see as an opaque text. */
const Cursor = z
  .string()
  .regex(/^[\w-]{1,2000}$/, 'must be the nextCursor of the page before')
  .transform((cursor) => Buffer.from(cursor, 'base64url').toString())
  .refine((after) => after !== '' && !after.includes('�'), 'must be the nextCursor of the page before')
  .optional()
  .meta({ description: 'The `nextCursor` of the page before.' });

export const PageQuery = z.strictObject({ limit: Limit, cursor: Cursor });

/** The schema of a page. */
export const pageOf = <Item extends z.ZodType>(item: () => Item) =>
  later(() =>
    z.strictObject({
      items: z.array(item()),
      nextCursor: z
        .string()
        .optional()
        .meta({ description: 'Send it as `cursor` to get the next page; absent on the last.' }),
    }),
  );

/** A page as JSON. */
export function pageJson<From, To>(
  page: { items: readonly From[]; next?: string },
  json: (item: From) => To,
): { items: To[]; nextCursor?: string } {
  const items = page.items.map(json);
  return page.next === undefined
    ? { items }
    : { items, nextCursor: Buffer.from(page.next).toString('base64url') };
}
