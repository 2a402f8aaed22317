import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { AwsSolutionsChecks } from 'cdk-nag';
import { expect, onTestFinished, test } from 'vitest';
import { cairnApp } from '../../infra/cairn-app.ts';
import { ANY_CODE, SERVING } from './synthesised.ts';

function app(context: Record<string, unknown>) {
  const outdir = mkdtempSync(join(tmpdir(), 'cairn-findings-'));
  onTestFinished(() => rmSync(outdir, { recursive: true }));
  return cairnApp(new App({ outdir, context }), ANY_CODE);
}

const VPC = {
  id: 'vpc-0a1b',
  cidr: '10.0.0.0/16',
  availabilityZones: ['us-east-1a', 'us-east-1b'],
  subnetIds: ['subnet-0a', 'subnet-0b'],
};

test.each([
  ['registry only', {}],
  ['serving', SERVING],
  ['serving in a VPC that is there', { ...SERVING, 'cairn:vpc': VPC, 'cairn:tracing': true }],
  ['all removed with the stack', { ...SERVING, 'cairn:removalPolicy': 'destroy' }],
  ['the emulator', { ...SERVING, 'cairn:emulator': { url: 'http://127.0.0.1:4566' } }],
])('cdk-nag has no unexplained finding: %s', (_, context) => {
  const made = app(context);
  made.app.synth();
  expect(new AwsSolutionsChecks().validateScope(made.app).violations).toEqual([]);
});

test('a finding is found', () => {
  const made = app({});
  new Bucket(made.service, 'Open');
  const { violations } = new AwsSolutionsChecks().validateScope(made.app);
  expect(violations.map(({ ruleName }) => ruleName)).toContain('AwsSolutions-S10');
});
