import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Evaluation, evaluate, evaluationRange } from '../../../shared/monitoring/evaluate.ts';
import type { AlarmRule, Comparison, MissingData, SeriesPoint } from '../../../shared/ports/alarm-service.ts';

const PERIOD = 300;
const END = Date.UTC(2026, 10, 24, 13, 5);
const UNCHANGED: Evaluation = { state: 'OK', reason: 'as before' };

function rule(changes: Partial<AlarmRule> = {}): AlarmRule {
  return {
    source: { kind: 'metric', metric: 'Latency', dimensions: {}, statistic: 'Average' },
    period: PERIOD,
    evaluationPeriods: 3,
    datapointsToAlarm: 3,
    threshold: 5,
    comparison: 'GreaterThanThreshold',
    treatMissingData: 'missing',
    ...changes,
  };
}

/** Datapoints in the documentation's notation, the newest on the right: `0` does not breach, `X` does, `-` is missing. */
function datapoints(notation: string): SeriesPoint[] {
  const marks = notation.split(' ');
  return marks.flatMap((mark, index) =>
    mark === '-' ? [] : [{ at: END - (marks.length - index) * PERIOD * 1000, value: mark === 'X' ? 12 : 1 }],
  );
}

/**
 * The tables of "Configuring how CloudWatch alarms treat missing data", section "How alarm state is evaluated when data is
 * missing" (https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html): 3 evaluation
 * periods, evaluation range 5. The rows marked "earlier" are in the user guide's editions before 2021
 * (github.com/awsdocs/amazon-cloudwatch-user-guide, doc_source/AlarmThatSendsEmail.md); the rows marked "text" are the
 * examples of the section "Avoiding premature transitions to alarm state", which says of them that they are not ALARM.
 */
const TREATMENTS: MissingData[] = ['missing', 'ignore', 'breaching', 'notBreaching'];
const TABLES: [datapointsToAlarm: number, notation: string, states: string, from: string][] = [
  [3, '0 - X - X', 'OK OK OK OK', 'table 1'],
  [3, '0 - - - -', 'OK OK OK OK', 'table 1'],
  [3, '- - - - -', 'INSUFFICIENT_DATA retain ALARM OK', 'table 1'],
  [3, '0 X X - X', 'ALARM ALARM ALARM ALARM', 'table 1'],
  [3, '- - X - -', 'ALARM retain ALARM OK', 'table 1'],
  [3, '- - - - X', 'INSUFFICIENT_DATA retain ALARM OK', 'earlier table 1'],
  [3, 'X - - - -', 'ALARM retain ALARM OK', 'earlier table 1'],
  [3, '- - - X -', 'INSUFFICIENT_DATA retain ALARM OK', 'text'],
  [3, '- - - X 0', 'OK OK OK OK', 'text'],
  [3, '- - X - 0', 'OK OK OK OK', 'text'],
  [2, '0 - X - X', 'ALARM ALARM ALARM ALARM', 'table 2'],
  [2, '0 0 X 0 X', 'ALARM ALARM ALARM ALARM', 'table 2'],
  [2, '0 - X - -', 'OK OK ALARM OK', 'table 2'],
  [2, '- - - - 0', 'OK OK ALARM OK', 'table 2'],
  [2, '- - - X -', 'ALARM retain ALARM OK', 'table 2'],
  [2, '- - - - X', 'INSUFFICIENT_DATA retain ALARM OK', 'earlier table 2'],
];

describe('an alarm has the state that CloudWatch documents', () => {
  const rows = TABLES.flatMap(([m, notation, states, from]) =>
    states
      .split(' ')
      .map((state, column) => ({ m, notation, from, state, treatment: TREATMENTS[column] as MissingData })),
  );
  test.each(rows)(
    '$from: $m out of 3, $notation, $treatment: $state',
    ({ m, notation, treatment, state }) => {
      const alarm = rule({ datapointsToAlarm: m, treatMissingData: treatment });
      const before = evaluate(alarm, datapoints(notation), END, { state: 'OK', reason: 'as before' });
      const again = evaluate(alarm, datapoints(notation), END, { state: 'ALARM', reason: 'as before' });
      expect([before.state, again.state]).toEqual(state === 'retain' ? ['OK', 'ALARM'] : [state, state]);
    },
  );

  test('3 evaluation periods have an evaluation range of 5', () => {
    expect(evaluationRange(3)).toBe(5);
  });
});

test.each<[Comparison, number, boolean]>([
  ['GreaterThanThreshold', 5, false],
  ['GreaterThanThreshold', 5.1, true],
  ['GreaterThanOrEqualToThreshold', 5, true],
  ['GreaterThanOrEqualToThreshold', 4.9, false],
  ['LessThanThreshold', 5, false],
  ['LessThanThreshold', 4.9, true],
  ['LessThanOrEqualToThreshold', 5, true],
  ['LessThanOrEqualToThreshold', 5.1, false],
])('%s 5 with the value %d breaches: %s', (comparison, value, breaching) => {
  const alarm = rule({ comparison, evaluationPeriods: 1, datapointsToAlarm: 1 });
  const { state } = evaluate(alarm, [{ at: END - PERIOD * 1000, value }], END, UNCHANGED);
  expect(state).toBe(breaching ? 'ALARM' : 'OK');
});

describe('the reason is worded as CloudWatch words it', () => {
  const two = { evaluationPeriods: 2, datapointsToAlarm: 2 };
  test.each<[string, Partial<AlarmRule>, string, string]>([
    [
      'all breach',
      two,
      'X X',
      'Threshold Crossed: 2 out of the last 2 datapoints [12.0 (24/11/26 13:00:00), 12.0 (24/11/26 12:55:00)] were greater ' +
        'than the threshold (5.0) (minimum 2 datapoints for OK -> ALARM transition).',
    ],
    [
      'one is enough to be OK',
      two,
      'X 0',
      'Threshold Crossed: 1 out of the last 2 datapoints [1.0 (24/11/26 13:00:00)] was not greater than the threshold (5.0) ' +
        '(minimum 1 datapoint for ALARM -> OK transition).',
    ],
    [
      'some are missing',
      { datapointsToAlarm: 1, treatMissingData: 'notBreaching' },
      '- - - - X',
      'Threshold Crossed: 1 out of the last 3 datapoints [12.0 (24/11/26 13:00:00)] was greater than the threshold (5.0) and 2 ' +
        'missing datapoints were treated as [NonBreaching] (minimum 1 datapoint for OK -> ALARM transition).',
    ],
    [
      'missing ones decide',
      { datapointsToAlarm: 2, treatMissingData: 'breaching' },
      '- - - - 0',
      'Threshold Crossed: 1 datapoint was received for 3 periods and 2 missing datapoints were treated as [Breaching].',
    ],
    [
      'no data',
      { evaluationPeriods: 1, datapointsToAlarm: 1, treatMissingData: 'breaching' },
      '- - -',
      'Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as [Breaching].',
    ],
    ['unknown', {}, '- - - - -', 'Insufficient Data: 3 datapoints were unknown.'],
    [
      'one unknown',
      { evaluationPeriods: 1, datapointsToAlarm: 1 },
      '- - -',
      'Insufficient Data: 1 datapoint was unknown.',
    ],
  ])('%s', (_, changes, notation, reason) => {
    expect(evaluate(rule(changes), datapoints(notation), END, UNCHANGED).reason).toBe(reason);
  });
});

describe('for every alarm and history', () => {
  const rules = fc
    .record({
      n: fc.integer({ min: 1, max: 12 }),
      m: fc.nat(),
      treatMissingData: fc.constantFrom(...TREATMENTS),
      comparison: fc.constantFrom<Comparison>('GreaterThanThreshold', 'LessThanOrEqualToThreshold'),
    })
    .map(({ n, m, ...rest }) => rule({ evaluationPeriods: n, datapointsToAlarm: 1 + (m % n), ...rest }));
  /** A value for each age in periods, the newest first; null is missing. */
  const histories = fc.array(fc.option(fc.double({ min: 0, max: 10, noNaN: true })), {
    minLength: 40,
    maxLength: 40,
  });
  const current = fc.constantFrom<Evaluation[]>(
    { state: 'OK', reason: 'as before' },
    { state: 'ALARM', reason: 'as before' },
    { state: 'INSUFFICIENT_DATA', reason: 'as before' },
  );
  const points = (history: (number | null)[]) =>
    history.flatMap((value, age) => (value === null ? [] : [{ at: END - (age + 1) * PERIOD * 1000, value }]));
  const fill = (history: (number | null)[], value: (was: number | null) => number) =>
    points(history.map(value));

  test('data older than the evaluation range changes nothing', () => {
    fc.assert(
      fc.property(rules, histories, current, (alarm, history, before) => {
        const recent = history.slice(0, evaluationRange(alarm.evaluationPeriods));
        expect(evaluate(alarm, points(history), END, before)).toEqual(
          evaluate(alarm, points(recent), END, before),
        );
      }),
    );
  });

  test('the order of the datapoints changes nothing', () => {
    fc.assert(
      fc.property(rules, histories, current, (alarm, history, before) => {
        const forward = evaluate(alarm, points(history), END, before);
        expect(evaluate(alarm, points(history).reverse(), END, before)).toEqual(forward);
      }),
    );
  });

  test('nothing missing: ALARM exactly when M of the last N breach', () => {
    fc.assert(
      fc.property(rules, histories, current, (alarm, history, before) => {
        const values = history.map((value) => value ?? 5);
        const over = (value: number) =>
          alarm.comparison === 'GreaterThanThreshold' ? value > 5 : value <= 5;
        const count = values.slice(0, alarm.evaluationPeriods).filter(over).length;
        const { state } = evaluate(
          alarm,
          fill(history, (value) => value ?? 5),
          END,
          before,
        );
        expect(state).toBe(count >= alarm.datapointsToAlarm ? 'ALARM' : 'OK');
      }),
    );
  });

  test('all breaching is ALARM, none breaching is OK, whatever is missing is treated as', () => {
    fc.assert(
      fc.property(rules, histories, current, (alarm, history, before) => {
        const high = evaluate(
          { ...alarm, comparison: 'GreaterThanThreshold' },
          fill(history, () => 9),
          END,
          before,
        );
        const low = evaluate(
          { ...alarm, comparison: 'GreaterThanThreshold' },
          fill(history, () => 1),
          END,
          before,
        );
        expect([high.state, low.state]).toEqual(['ALARM', 'OK']);
      }),
    );
  });

  test('without any data: ignore keeps the state and its reason, the others do not look at it', () => {
    fc.assert(
      fc.property(rules, current, (alarm, before) => {
        const { state } = evaluate(alarm, [], END, before);
        const expected = {
          ignore: before.state,
          missing: 'INSUFFICIENT_DATA',
          breaching: 'ALARM',
          notBreaching: 'OK',
        };
        expect(state).toBe(expected[alarm.treatMissingData]);
        if (alarm.treatMissingData === 'ignore') expect(evaluate(alarm, [], END, before)).toBe(before);
      }),
    );
  });

  test('treating missing data as breaching never gives a milder state than treating it as not breaching', () => {
    fc.assert(
      fc.property(rules, histories, current, (alarm, history, before) => {
        const state = (treatMissingData: MissingData) =>
          evaluate({ ...alarm, treatMissingData }, points(history), END, before).state;
        if (state('notBreaching') === 'ALARM') {
          expect(TREATMENTS.map(state)).toEqual(['ALARM', 'ALARM', 'ALARM', 'ALARM']);
        }
        if (state('breaching') === 'OK') expect(TREATMENTS.map(state)).toEqual(['OK', 'OK', 'OK', 'OK']);
      }),
    );
  });
});
