import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';
import { closingLine } from '../../tools/closing-line.ts';

const file = (status: string, ...tests: string[]) => ({
  name: 'a.test.ts',
  status,
  assertionResults: tests.map((test, index) => ({ status: test, fullName: `test ${index}` })),
});
const report = (success: boolean, ...testResults: ReturnType<typeof file>[]) => ({ success, testResults });

test('all reports are counted together', () => {
  const one = report(true, file('passed', 'passed', 'passed'));
  expect(closingLine([one, one])).toEqual({ line: '4 passed, 0 failed', good: true });
});

test.each([
  ['a failed test', [report(false, file('failed', 'passed', 'failed'))], '1 passed, 1 failed'],
  ['a skipped test', [report(true, file('passed', 'passed', 'pending'))], '1 passed, 1 failed'],
  ['a file that could not be loaded', [report(false, file('failed'))], '0 passed, 1 failed'],
  ['a file without a test', [report(true, file('passed'))], '0 passed, 1 failed'],
  ['a run without a test', [report(true)], '0 passed, 1 failed'],
  ['an error outside of the tests', [report(false, file('passed', 'passed'))], '1 passed, 1 failed'],
  ['a missing report', [report(true, file('passed', 'passed')), undefined], '1 passed, 1 failed'],
  ['no report at all', [], '0 passed, 0 failed'],
])('%s is not good', (_, reports, line) => {
  expect(closingLine(reports)).toEqual({ line, good: false });
});

test('a report that cannot be read makes the command fail', () => {
  const script = resolve(import.meta.dirname, '../../tools/closing-line.ts');
  const run = spawnSync(process.execPath, [script, '/does/not/exist.json'], { encoding: 'utf8' });
  expect(run.stdout).toBe('0 passed, 1 failed\n');
  expect(run.status).toBe(1);
});
