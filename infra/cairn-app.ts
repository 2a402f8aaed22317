import { type App, Validations } from 'aws-cdk-lib';
import type { Code } from 'aws-cdk-lib/aws-lambda';
import { AwsSolutionsChecks } from 'cdk-nag';
import type { FunctionName } from './bundle.ts';
import { parseConfig } from './config.ts';
import { DataStack } from './data-stack.ts';
import { ServiceStack } from './service-stack.ts';

/**
 * The whole of Cairn on AWS.
 * @param code what a function runs
 * @throws Error when the context's `cairn:` keys are not a configuration
 */
export function cairnApp(
  app: App,
  code: (name: FunctionName) => Code,
): { app: App; data: DataStack; service: ServiceStack } {
  const config = parseConfig(app.node.getAllContext());
  const data = new DataStack(app, 'CairnData', { config, description: 'Cairn: keys, table and buckets' });
  const service = new ServiceStack(app, 'Cairn', {
    config,
    code,
    data,
    description: 'Cairn: API, functions and, when serving, what endpoints run on',
  });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return { app, data, service };
}
