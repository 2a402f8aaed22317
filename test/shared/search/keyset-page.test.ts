import fc from 'fast-check';
import { expect, test } from 'vitest';
import { keysetPage, type SortTerm } from '../../../shared/search/keyset-page.ts';

interface Row {
  readonly id: number;
  readonly value: string | number | undefined;
}

const Value = fc.oneof(
  fc.constant(undefined),
  fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0),
  fc.integer({ min: -3, max: 3 }),
);
const Text = fc.oneof(
  fc.constant(undefined),
  fc.string({ unit: 'binary', maxLength: 3 }),
  fc.string({ maxLength: 3 }).map((end) => 'x'.repeat(249) + end),
);
const Rows = fc
  .oneof(fc.array(Value, { maxLength: 20 }), fc.array(Text, { maxLength: 20 }))
  .map((values) => values.map((value, id): Row => ({ id, value })));

const termsOf = (ascending: boolean): SortTerm<Row>[] => [
  { value: ({ value }) => value, ascending },
  { value: ({ id }) => id, ascending: true },
];

/** All pages, with what each of them finds. */
function pages(found: (page: number) => readonly Row[], terms: SortTerm<Row>[], limit: number): Row[] {
  const seen: Row[] = [];
  let token: string | undefined;
  for (let number = 0; number === 0 || token !== undefined; number++) {
    const page = keysetPage(found(number), terms, token, limit);
    seen.push(...page.items);
    token = page.next;
  }
  return seen;
}

test('the pages of a list are the list in its order', () => {
  fc.assert(
    fc.property(Rows, fc.boolean(), fc.integer({ min: 1, max: 5 }), (rows, ascending, limit) => {
      const terms = termsOf(ascending);
      const whole = keysetPage(rows, terms, undefined, rows.length + 1);
      expect(whole.next).toBeUndefined();
      expect(pages(() => rows, terms, limit)).toEqual(whole.items);
    }),
  );
});

test('what comes and goes between two pages makes nothing else appear twice or never', () => {
  fc.assert(
    fc.property(
      Rows,
      fc.array(fc.array(fc.nat(30), { maxLength: 4 }), { maxLength: 30 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 4 }),
      (rows, absent, ascending, limit) => {
        const found = (page: number) => rows.filter(({ id }) => !absent[page]?.includes(id));
        const seen = pages(found, termsOf(ascending), limit).map(({ id }) => id);
        expect(new Set(seen).size).toBe(seen.length);
        const always = rows.filter(({ id }) => !absent.some((page) => page.includes(id)));
        expect(seen).toEqual(expect.arrayContaining(always.map(({ id }) => id)));
      },
    ),
  );
});

test.each([
  'nonsense',
  'e30=',
  Buffer.from('{"offset":3}').toString('base64'),
  '{"after":[1]}',
  '{"after":[{},1]}',
])('a token that is none of this order is refused: %s', (text) => {
  const token = text.startsWith('{') ? Buffer.from(text).toString('base64') : text;
  expect(() => keysetPage([{ id: 1, value: 1 }], termsOf(true), token, 1)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'page_token' }),
  );
});
