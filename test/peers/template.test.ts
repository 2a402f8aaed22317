import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { App, Stack } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { cairnApp } from '../../infra/cairn-app.ts';
import { ANY_CODE, SERVING } from '../infra/synthesised.ts';
import { pythonEnv } from './python.ts';

/** checkov pins a boto3 that other packages cannot live with, so these have an environment of their own. */
const REQUIREMENTS = 'cfn-lint==1.58.0\ncheckov==3.3.30\n';

let programs: string;
beforeAll(async () => {
  programs = dirname(await pythonEnv('template', REQUIREMENTS));
});

let outdir: string;
beforeEach(() => {
  outdir = mkdtempSync(join(tmpdir(), 'cairn-template-'));
});
afterEach(() => rmSync(outdir, { recursive: true }));

const CONFIGURATIONS: [string, Record<string, unknown>][] = [
  ['registry only', {}],
  ['serving', SERVING],
];

const synthesise = (context: Record<string, unknown>) =>
  cairnApp(new App({ outdir, context }), ANY_CODE).app.synth();

const files = () => ['CairnData', 'Cairn'].map((stack) => join(outdir, `${stack}.template.json`));

function cfnLint(...templates: string[]) {
  return spawnSync(join(programs, 'cfn-lint'), ['--format', 'parseable', '--', ...templates], {
    encoding: 'utf8',
  });
}

function checkov(...templates: string[]): { failed: string[]; passed: number } {
  const run = spawnSync(
    join(programs, 'checkov'),
    [
      '--framework',
      'cloudformation',
      '--skip-download',
      '--output',
      'json',
      ...templates.flatMap((file) => ['-f', file]),
    ],
    { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  const { results, summary } = JSON.parse(run.stdout) as {
    results: { failed_checks: { check_id: string; resource: string; check_name: string }[] };
    summary: { passed: number };
  };
  return {
    failed: results.failed_checks.map(
      ({ check_id, resource, check_name }) => `${check_id} ${resource}: ${check_name}`,
    ),
    passed: summary.passed,
  };
}

test.each(CONFIGURATIONS)('cfn-lint has nothing to say: %s', (_, context) => {
  synthesise(context);
  const { status, stdout, stderr } = cfnLint(...files());
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
});

test.each(CONFIGURATIONS)('checkov has no unexplained finding: %s', (_, context) => {
  synthesise(context);
  const { failed, passed } = checkov(...files());
  expect(failed).toEqual([]);
  expect(passed).toBeGreaterThan(100);
});

test('both find what is wrong', () => {
  const app = new App({ outdir });
  const stack = new Stack(app, 'Wrong');
  const bucket = new Bucket(stack, 'Open');
  (
    bucket.node.defaultChild as unknown as { addPropertyOverride(path: string, value: unknown): void }
  ).addPropertyOverride('NoSuchProperty', true);
  app.synth();
  const template = join(outdir, 'Wrong.template.json');
  expect(cfnLint(template).stdout).toContain('E3002');
  expect(checkov(template).failed.join()).toContain('CKV_AWS_21');
});
