import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { App } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { bundle, FUNCTIONS } from './bundle.ts';
import { cairnApp } from './cairn-app.ts';
import { ConfigError } from './config.ts';

const bundles = mkdtempSync(join(tmpdir(), 'cairn-bundles-'));
try {
  await Promise.all(FUNCTIONS.map((name) => bundle(name, join(bundles, name))));
  const app = new App({ analyticsReporting: false });
  cairnApp(app, (name) => Code.fromAsset(join(bundles, name)));
  app.synth();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(bundles, { recursive: true });
}
