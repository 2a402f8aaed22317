import * as z from 'zod';

/**
 * Protocol Buffers' JSON as MLflow's clients write it: integers also as text, null for what is not given, a repeated
 * query parameter also once, NaN and infinities as text. Fields of other versions of the client are let pass, as
 * MLflow's own server does.
 */
export const object = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.preprocess(withoutNulls, z.object(shape));

function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== null));
}

export const Text = z.string();
/** Absent and empty are the same. */
export const OptionalText = z
  .string()
  .optional()
  .transform((text) => text || undefined);

export const Int = z
  .union([z.int(), z.string().regex(/^[-+]?\d{1,16}$/, 'must be an integer')])
  .transform(Number);

export const Bool = z
  .union([z.boolean(), z.enum(['true', 'false', 'True', 'False'])])
  .transform((value) => value === true || value === 'true' || value === 'True');

export const Double = z
  .union([z.number(), z.string().regex(/^(NaN|-?Infinity|[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?)$/i)])
  .transform(Number);

export const list = <Item extends z.ZodType>(item: Item) =>
  z.preprocess(
    (value) => (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value]),
    z.array(item),
  );

/** A list with a bound of ours, where MLflow's own server has none: each entry becomes an item of the table. */
export const listOf = <Item extends z.ZodType>(item: Item, most: number) =>
  list(item).refine((entries) => entries.length <= most, `must have at most ${most} entries`);

/** The longest text that is kept whole: with its key it fits an item of the table. */
export const LONG_TEXT = z.string().max(100_000, 'must have at most 100000 characters');

/** A tag or parameter of a run or logged model. */
export const Entry = object({
  key: z.string().min(1).max(250, 'must have at most 250 characters'),
  value: LONG_TEXT.default(''),
});
export const ENTRIES_MAX = 1000;

/** Proto3's default value is left out on the way. */
export const Tag = object({ key: z.string().min(1), value: z.string().default('') });
export const TagList = list(Tag);

export const tagsOf = (tags: readonly { key: string; value: string }[]): Record<string, string> =>
  Object.fromEntries(tags.map(({ key, value }) => [key, value]));

/** `max_results`, within the call's own bounds. */
export const maxResults = (usual: number, most: number) =>
  Int.pipe(z.int().min(1, 'must be at least 1').max(most, `must be at most ${most}`)).default(usual);

export const ViewType = z.enum(['ACTIVE_ONLY', 'DELETED_ONLY', 'ALL']).default('ACTIVE_ONLY');
