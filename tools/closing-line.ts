import { readFileSync } from 'node:fs';
import process from 'node:process';

/** The part of vitest's JSON report that is read here. */
interface VitestReport {
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/**
 * `123 passed, 0 failed`, and whether that is good. What does not count as passed: a test that was skipped or never ran, a
 * file that could not be loaded, a report that is missing or says no success, a run without any test.
 */
export function closingLine(reports: readonly (VitestReport | undefined)[]): { line: string; good: boolean } {
  let [passed, failed] = [0, 0];
  for (const report of reports) {
    const before = { passed, failed };
    for (const file of report?.testResults ?? []) {
      const passes = file.assertionResults.filter((test) => test.status === 'passed').length;
      const rest = file.assertionResults.length - passes;
      passed += passes;
      failed += rest > 0 ? rest : Number(file.status !== 'passed' || passes === 0);
    }
    const ranNothing = passed === before.passed && failed === before.failed;
    if (failed === before.failed && (ranNothing || report?.success !== true)) failed += 1;
  }
  return { line: `${passed} passed, ${failed} failed`, good: failed === 0 && passed > 0 };
}

function read(path: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    console.error(`No test report: ${(error as Error).message}`);
    return undefined;
  }
}

if (import.meta.main) {
  const { line, good } = closingLine(process.argv.slice(2).map(read));
  console.log(line);
  process.exitCode = good ? 0 : 1;
}
