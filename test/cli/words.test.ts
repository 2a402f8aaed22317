import fc from 'fast-check';
import stringWidth from 'string-width';
import { describe, expect, test } from 'vitest';
import type { Endpoint } from '../../cli/api.ts';
import { applyOptions, endpointName } from '../../cli/commands/deploy.ts';
import { newLines } from '../../cli/commands/logs.ts';
import { expiryOf, parseGrant } from '../../cli/commands/token.ts';
import { inferRequest, nested } from '../../cli/infer-request.ts';
import { parseModelRef } from '../../cli/model-ref.ts';
import { bytes, plain, shorten } from '../../cli/output.ts';
import { outcomeOf } from '../../cli/rollout.ts';
import { table } from '../../cli/table.ts';

test('a reference names workspace, model and version or alias', () => {
  const parse = (text: string) => parseModelRef(text, 'default');
  expect(parse('digits')).toEqual({ workspace: 'default', model: 'digits' });
  expect(parse('digits@3')).toMatchObject({ target: { version: 3 } });
  expect(parse('digits@v3')).toMatchObject({ target: { version: 3 } });
  expect(parse('digits@champion')).toMatchObject({ target: { alias: 'champion' } });
  expect(parse('team/me@work@2')).toEqual({ workspace: 'team', model: 'me@work', target: { version: 2 } });
  for (const bad of ['', '@3', 'digits@', '/digits', 'a/b/c', '..', '.@1', '../digits'])
    expect(() => parse(bad)).toThrow();
});

test('every name without "/" and "@" is read back as it is', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => !/[/@]|^\.{1,2}$/.test(name)),
      fc.nat(),
      (name, version) => {
        expect(parseModelRef(`w/${name}@${version}`, 'x')).toEqual({
          workspace: 'w',
          model: name.normalize('NFC'),
          target: { version },
        });
      },
    ),
  );
});

test('an endpoint’s name can stand in an address', () => {
  expect(endpointName('Ziffern Groß')).toBe('ziffern-gross');
  expect(endpointName('Modèle – v1.0')).toBe('modele-v1-0');
  expect(() => endpointName('数字')).toThrow('No endpoint can be named');
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }).filter((name) => /[a-z0-9]/i.test(name)),
      (name) => {
        expect(endpointName(name)).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
      },
    ),
  );
});

test('options change what they name and leave the rest of a spec alone', () => {
  const spec = {
    model: 'm',
    target: { version: 1 },
    strategy: { type: 'canary' as const, canaryPercent: 5, canarySeconds: 60, bakeSeconds: 30 },
    alarms: { errorRate: { threshold: 1, enabled: false } },
    rollback: { onAlarm: false },
  };
  expect(applyOptions(spec, {})).toEqual(spec);
  expect(applyOptions(spec, { canary: 20 }).strategy).toEqual({ ...spec.strategy, canaryPercent: 20 });
  expect(applyOptions(spec, { allAtOnce: true }).strategy).toEqual({ type: 'all-at-once', bakeSeconds: 30 });
  expect(
    applyOptions({ ...spec, strategy: { type: 'all-at-once', bakeSeconds: 9 } }, { canary: 1 }).strategy,
  ).toEqual({ type: 'canary', canaryPercent: 1, bakeSeconds: 9 });
  expect(applyOptions(spec, { alarmPeriod: 10, p99: 50 }).alarms).toEqual({
    errorRate: { threshold: 1, enabled: false, period: 10 },
    latencyP99: { period: 10, threshold: 50 },
  });
  expect(() => applyOptions(spec, { allAtOnce: true, canary: 1 })).toThrow('exclude');
});

const IMAGE = { name: 'input', datatype: 'FP32', shape: [-1, 3] };

test('plain arrays become an inference request with the signature’s names and types', () => {
  const one = { inputs: [{ name: 'input', datatype: 'FP32', shape: [1, 3], data: [1, 2, 3] }] };
  expect(inferRequest([[1, 2, 3]], [IMAGE])).toEqual(one);
  expect(inferRequest([1, 2, 3], [IMAGE])).toEqual(one);
  expect(inferRequest({ input: [[1, 2, 3]] }, [IMAGE])).toEqual(one);
  expect(inferRequest(one, [IMAGE])).toBe(one);
  const two = [
    { name: 'a', datatype: 'INT64', shape: [-1] },
    { name: 'b', datatype: 'BYTES', shape: [-1] },
  ];
  expect(inferRequest({ a: [7], b: ['x'] }, two)).toMatchObject({
    inputs: [
      { name: 'a', data: [7] },
      { datatype: 'BYTES', data: ['x'] },
    ],
  });
});

test.each([
  [
    'ragged rows',
    [
      [1, 2, 3],
      [1, 2],
    ],
    [IMAGE],
    'ragged',
  ],
  ['a wrong width', [[1, 2]], [IMAGE], 'the model takes [?, 3]'],
  ['null', [[1, null, 3]], [IMAGE], 'null where a value belongs'],
  ['too deep', [[[1, 2, 3], 4]], [IMAGE], 'ragged'],
  ['an unknown input', { other: [1] }, [IMAGE], 'lacks the input "input"'],
  ['arrays for two inputs', [1], [IMAGE, { ...IMAGE, name: 'b' }], 'has 2 inputs: "input", "b"'],
])('%s is refused with what is wrong', (_, data, specs, words) => {
  expect(() => inferRequest(data, specs)).toThrow(words);
});

test('flat data nests by its shape', () => {
  expect(nested([1, 2, 3, 4, 5, 6], [3, 2])).toEqual([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  expect(nested([1], [])).toBe(1);
  expect(nested([], [0, 4])).toEqual([]);
});

const endpoint = (generation: number, status: Partial<Endpoint['status']>) =>
  ({
    generation,
    status: { observedGeneration: generation, phase: 'idle', traffic: [], conditions: [], ...status },
  }) as unknown as Endpoint;
const serving = (version: number, generation: number) => ({
  revision: 1,
  version,
  generation,
  desired: 1,
  ready: 1,
  failures: 0,
});
const back = {
  at: '2026-01-01T00:00:02.000Z',
  from: { revision: 2, version: 2 },
  to: { revision: 1, version: 1 },
  by: 'system:on-alarm',
  reason: 'too many errors',
};

test('a deployment counts as done only when it is current', () => {
  expect(outcomeOf(endpoint(2, { observedGeneration: 1, current: serving(1, 1) }), 2).kind).toBe('under-way');
  expect(outcomeOf(endpoint(2, { phase: 'canary', current: serving(1, 1) }), 2).kind).toBe('under-way');
  expect(outcomeOf(endpoint(2, { current: serving(2, 2) }), 2).kind).toBe('current');
  expect(outcomeOf(endpoint(3, { current: serving(1, 1) }), 2).kind).toBe('superseded');
  expect(
    outcomeOf(
      endpoint(2, { current: serving(1, 1), rejected: { generation: 2, version: 2 }, lastRollback: back }),
      2,
    ),
  ).toEqual({
    kind: 'given-up',
    code: 'ROLLED_BACK',
    reason: 'Version 2 was given up: too many errors. Version 1 serves.',
  });
  const stuck = {
    type: 'Progressing',
    status: false,
    reason: 'VERSION_NOT_APPROVED',
    message: 'Version 2 is not approved.',
  };
  expect(outcomeOf(endpoint(2, { current: serving(1, 1), conditions: [stuck] } as never), 2)).toEqual({
    kind: 'blocked',
    reason: 'Version 2 is not approved.',
  });
});

test('following logs shows every line once', () => {
  const line = (n: number) => ({
    at: `t${Math.floor(n / 3)}`,
    revision: 1,
    replica: 'a',
    message: `m${n % 2}`,
  });
  fc.assert(
    fc.property(fc.nat(30), fc.nat(30), fc.integer({ min: 1, max: 40 }), (seen, more, window) => {
      const all = Array.from({ length: seen + more }, (_, n) => ({ ...line(n), message: `m${n}` }));
      const before = all.slice(0, seen).slice(-window);
      const now = all.slice(-window);
      const fresh = newLines(before, now);
      if (more <= window) expect(fresh).toEqual(seen === 0 ? now : all.slice(seen));
      else expect(fresh).toEqual(now);
    }),
  );
});

test('grants and expiries are read as a person writes them', () => {
  expect(parseGrant('viewer@default/fraud-*')).toEqual({
    role: 'viewer',
    workspace: 'default',
    models: 'fraud-*',
  });
  expect(parseGrant('admin@*')).toEqual({ role: 'admin', workspace: '*', models: '*' });
  expect(() => parseGrant('owner@default')).toThrow('no role "owner"');
  expect(() => parseGrant('viewer')).toThrow('not a grant');
  expect(expiryOf('2d', 0)).toBe('1970-01-03T00:00:00.000Z');
  expect(expiryOf('2030-01-31', 0)).toBe('2030-01-31T00:00:00.000Z');
  expect(() => expiryOf('2000-01-01', Date.UTC(2026))).toThrow('past');
  expect(() => expiryOf('soon', 0)).toThrow('not a time');
});

describe('a table on a terminal that is too narrow', () => {
  const header = ['NAME', 'SIZE', 'AUTHOR', 'MESSAGE'];
  const rows = [
    ['数字を認識するモデル', '1.5 kB', 'ada', 'trained on one thousand five hundred images'],
    ['a', undefined, undefined, undefined],
  ];
  const narrow = (width: number | undefined) =>
    table(header, rows, { cut: ['MESSAGE'], drop: ['AUTHOR', 'SIZE'], width }).split('\n');

  test('loses first the ends of what is there to be read, then columns, and at last the ends of all', () => {
    expect(narrow(undefined)[1]).toBe(
      '数字を認識するモデル  1.5 kB  ada     trained on one thousand five hundred images',
    );
    expect(narrow(60)).toEqual([
      'NAME                  SIZE    AUTHOR  MESSAGE',
      '数字を認識するモデル  1.5 kB  ada     trained on one thousa…',
      'a                     -       -       -',
    ]);
    expect(narrow(44)).toEqual([
      'NAME                  SIZE    MESSAGE',
      '数字を認識するモデル  1.5 kB  trained on on…',
      'a                     -       -',
      'Left out: AUTHOR (--json has all).',
    ]);
    expect(narrow(20)).toEqual([
      'NAME       MESSAGE',
      '数字を認…  trained…',
      'a          -',
      'Left out: AUTHOR, SIZE (--json has all).',
    ]);
  });

  test('fits whatever is in it, and where nobody looks nothing is lost', () => {
    const cell = fc.option(fc.string({ unit: 'grapheme', maxLength: 60 }), { nil: undefined });
    fc.assert(
      fc.property(
        fc.array(fc.array(cell, { minLength: 4, maxLength: 4 })),
        fc.integer({ min: 40 }),
        (rows, width) => {
          const lines = table(header, rows, { width }).split('\n');
          expect(lines).toHaveLength(rows.length + 1);
          for (const line of lines) expect(stringWidth(line)).toBeLessThanOrEqual(width);
          const all = table(header, rows, { width: undefined });
          for (const text of rows.flat())
            expect(all).toContain(
              plain(text ?? '-')
                .replace(/[\t\n]+/g, ' ')
                .trimEnd(),
            );
        },
      ),
    );
  });
});

test('columns line up, also with wide characters', () => {
  const text = table(
    ['NAME', 'N'],
    [
      ['数字', 1],
      ['a', undefined],
    ],
  );
  expect(text.split('\n')).toEqual(['NAME  N', '数字  1', 'a     -']);
  expect(shorten('数字数字', 5)).toBe('数字…');
  expect([0, 999, 1000, 1536, 999_499, 999_500, 2_900_000].map(bytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '1.5 kB',
    '999 kB',
    '1.0 MB',
    '2.9 MB',
  ]);
});
