import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FilterFields, fulfils, parseFilter } from '../../../shared/search/filter.ts';
import { like } from '../../../shared/search/like.ts';
import { compareBy, parseOrder } from '../../../shared/search/order-by.ts';

const FIELDS: FilterFields = {
  attributes: {
    name: { name: 'name', type: 'text', list: true },
    'run name': { name: 'name', type: 'text' },
    start_time: { name: 'startTime', type: 'number' },
    version_number: { name: 'number', type: 'number', quoted: true },
  },
  entities: { attribute: 'attribute', metrics: 'metric', params: 'param', tags: 'tag', tag: 'tag' },
  nullable: ['tag'],
};

describe('a filter', () => {
  test.each([
    ["name = 'a'", [{ entity: 'attribute', key: 'name', operator: '=', value: 'a' }]],
    ['name = "it\'s"', [{ entity: 'attribute', key: 'name', operator: '=', value: "it's" }]],
    ["`run name` LIKE '%x'", [{ entity: 'attribute', key: 'name', operator: 'LIKE', value: '%x' }]],
    ["attribute.name != 'a'", [{ entity: 'attribute', key: 'name', operator: '!=', value: 'a' }]],
    [
      "tags.mlflow.source.name = 'a'",
      [{ entity: 'tag', key: 'mlflow.source.name', operator: '=', value: 'a' }],
    ],
    ["tag.`a b.c` ilike 'A'", [{ entity: 'tag', key: 'a b.c', operator: 'ILIKE', value: 'A' }]],
    ['tags."a/b" IS NOT NULL', [{ entity: 'tag', key: 'a/b', operator: 'IS NOT NULL' }]],
    ['metrics.loss<=-1.5e-3', [{ entity: 'metric', key: 'loss', operator: '<=', value: -0.0015 }]],
    ["version_number = '2'", [{ entity: 'attribute', key: 'number', operator: '=', value: 2 }]],
    [
      "name IN ('a', \"b\") and params.p = '1'",
      [
        { entity: 'attribute', key: 'name', operator: 'IN', value: ['a', 'b'] },
        { entity: 'param', key: 'p', operator: '=', value: '1' },
      ],
    ],
    ['  ', []],
  ])('is read: %s', (text, clauses) => {
    expect(parseFilter(text, FIELDS)).toEqual(clauses);
  });

  test.each([
    'name',
    "= 'a'",
    'name = a',
    'name = 5',
    "name > 'a'",
    "name = 'a' OR name = 'b'",
    "(name = 'a')",
    "name = 'a' AND",
    "name = 'a' name = 'b'",
    "metrics.x = '1'",
    'metrics.x LIKE 1',
    'params.x IS NULL',
    "start_time = '5'",
    "name IN 'a'",
    'name IN ()',
    "name IN ('a'",
    "wrong = 'a'",
    "wrong.x = 'a'",
    "tags. = 'a'",
    "name = 'a",
    "constructor = 'a'",
    "name = 'a'; drop",
  ])('is refused by its field: %s', (text) => {
    expect(() => parseFilter(text, FIELDS)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', field: 'filter' }),
    );
  });

  test('gives back every key and value that can be quoted', () => {
    const key = fc.string({ minLength: 1 }).filter((text) => !text.includes('`'));
    const value = fc.string().filter((text) => !/['\\]/.test(text));
    fc.assert(
      fc.property(key, value, (name, text) => {
        expect(parseFilter(`tags.\`${name}\` = '${text}'`, FIELDS)).toEqual([
          { entity: 'tag', key: name, operator: '=', value: text },
        ]);
      }),
    );
  });

  test('never throws anything but the refusal, whatever the text', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseFilter(text, FIELDS);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
        }
      }),
    );
  });

  test('lets nothing match what is absent but IS NULL, and NaN only what differs', () => {
    const [absent, other, nan] = parseFilter("tags.a IS NULL AND tags.a != 'x' AND metrics.m != 1", FIELDS);
    expect([absent, other].map((clause) => clause && fulfils(clause, () => undefined))).toEqual([
      true,
      false,
    ]);
    expect(nan && fulfils(nan, () => Number.NaN)).toBe(true);
  });
});

test('LIKE is what the regular expression of its pattern says', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '%', '_'), maxLength: 12 });
  fc.assert(
    fc.property(text, text, (subject, pattern) => {
      const expression = pattern.replaceAll('%', '[^]*').replaceAll('_', '[^]');
      expect(like(pattern)(subject)).toBe(new RegExp(`^${expression}$`).test(subject));
    }),
  );
});

test('LIKE takes no longer for a pattern of many percent signs', () => {
  expect(like(`${'%a'.repeat(200)}b`)('a'.repeat(20_000))).toBe(false);
});

describe('an order', () => {
  test('is read with its direction and quotes', () => {
    expect(parseOrder(['metrics.`val loss` DESC', 'name', 'attribute.start_time asc'], FIELDS)).toEqual([
      { entity: 'metric', key: 'val loss', ascending: false },
      { entity: 'attribute', key: 'name', ascending: true },
      { entity: 'attribute', key: 'startTime', ascending: true },
    ]);
  });

  test.each(['wrong', 'name UP', 'name asc desc', ''])('is refused: %s', (term) => {
    expect(() => parseOrder([term], FIELDS)).toThrow(expect.objectContaining({ field: 'order_by' }));
  });

  test('puts NaN after numbers and what is absent last, up and down', () => {
    const values = [undefined, Number.NaN, 1, 3, 2];
    const sorted = (ascending: boolean) => [...values].sort((a, b) => compareBy(a, b, ascending));
    // Array.sort puts undefined last by itself, whatever the comparison says.
    expect(sorted(true)).toEqual([1, 2, 3, Number.NaN, undefined]);
    expect(sorted(false)).toEqual([3, 2, 1, Number.NaN, undefined]);
  });
});

describe('what would keep others waiting', () => {
  test('a pattern, a filter or an order that is too long is refused', () => {
    expect(() => parseFilter(`tags.a LIKE '%${'a'.repeat(1000)}'`, FIELDS)).toThrow(
      /at most 1000 characters/,
    );
    expect(() => parseFilter(`name = '${'a'.repeat(200_000)}'`, FIELDS)).toThrow(/over 200000 characters/);
    const terms = Array.from({ length: 101 }, (_, index) => `tags.t${index}`);
    expect(() => parseOrder(terms, FIELDS)).toThrow(/over 100 terms/);
  });

  test.each(['constructor.x', '__proto__.x', 'toString.x'])('%s is no name of an entity', (name) => {
    expect(() => parseFilter(`${name} = 'a'`, FIELDS)).toThrow(/is not one of/);
    expect(() => parseOrder([name], FIELDS)).toThrow(/cannot be ordered by/);
  });
});
