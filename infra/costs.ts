import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { cairnApp } from './cairn-app.ts';

/**
 * Prints the table of costs in docs/aws.md: what a month costs, worked out from what is in the template and from list
 * prices. `npm run costs`
 */

/** List prices of us-east-1 in dollars, without free tiers, in November 2026; change them here when they change. */
const PRICES = {
  keyMonth: { dollars: 1, source: 'https://aws.amazon.com/kms/pricing/' },
  secretMonth: { dollars: 0.4, source: 'https://aws.amazon.com/secrets-manager/pricing/' },
  alarmMetricMonth: { dollars: 0.1, source: 'https://aws.amazon.com/cloudwatch/pricing/' },
  metricMonth: { dollars: 0.3, source: 'https://aws.amazon.com/cloudwatch/pricing/' },
  dashboardMonth: { dollars: 3, source: 'https://aws.amazon.com/cloudwatch/pricing/' },
  logsGB: { dollars: 0.5, source: 'https://aws.amazon.com/cloudwatch/pricing/' },
  balancerHour: { dollars: 0.0225, source: 'https://aws.amazon.com/elasticloadbalancing/pricing/' },
  balancerUnitHour: { dollars: 0.008, source: 'https://aws.amazon.com/elasticloadbalancing/pricing/' },
  interfaceEndpointHour: { dollars: 0.01, source: 'https://aws.amazon.com/privatelink/pricing/' },
  armCpuHour: { dollars: 0.03238, source: 'https://aws.amazon.com/fargate/pricing/' },
  armGBHour: { dollars: 0.00356, source: 'https://aws.amazon.com/fargate/pricing/' },
  restRequests: { dollars: 3.5e-6, source: 'https://aws.amazon.com/api-gateway/pricing/' },
  lambdaRequests: { dollars: 0.2e-6, source: 'https://aws.amazon.com/lambda/pricing/' },
  lambdaArmGBSecond: { dollars: 0.0000133334, source: 'https://aws.amazon.com/lambda/pricing/' },
  sqsRequests: { dollars: 0.4e-6, source: 'https://aws.amazon.com/sqs/pricing/' },
  tableReads: { dollars: 0.125e-6, source: 'https://aws.amazon.com/dynamodb/pricing/on-demand/' },
  tableWrites: { dollars: 0.625e-6, source: 'https://aws.amazon.com/dynamodb/pricing/on-demand/' },
  tableGBMonth: { dollars: 0.25 + 0.2, source: 'https://aws.amazon.com/dynamodb/pricing/on-demand/' },
  s3GBMonth: { dollars: 0.023, source: 'https://aws.amazon.com/s3/pricing/' },
} as const;

const HOURS = 730;
const ZONES = 2;

interface Usage {
  readonly name: string;
  readonly serving: boolean;
  /** Calls of the API in a month; each runs 100 ms with 1 GB, reads 3 items and writes 2 in a transaction. */
  readonly calls: number;
  readonly storedGB: number;
  readonly itemsGB: number;
  /** Endpoints with one task of 1 vCPU and 2 GB each. */
  readonly endpoints: number;
  /** Requests a second to each of them, on average. */
  readonly requestRate: number;
}

const USAGES: readonly Usage[] = [
  { name: 'idle', serving: false, calls: 0, storedGB: 0, itemsGB: 0, endpoints: 0, requestRate: 0 },
  {
    name: 'idle, serving on',
    serving: true,
    calls: 0,
    storedGB: 0,
    itemsGB: 0,
    endpoints: 0,
    requestRate: 0,
  },
  { name: '1 endpoint', serving: true, calls: 1e4, storedGB: 1, itemsGB: 0.01, endpoints: 1, requestRate: 1 },
  {
    name: '100 models',
    serving: true,
    calls: 3e5,
    storedGB: 100,
    itemsGB: 0.1,
    endpoints: 10,
    requestRate: 1,
  },
];

/** Metrics of an endpoint: seven of the endpoint and again of its revision. */
const METRICS = 14;
/** Metrics in an endpoint's alarms: the error rate is made of two, p99 is one; again for its revision. */
const ALARM_METRICS = 6;
/** Requests, errors and latency of a function; where nothing happens, the timers' function alone has them. */
const FUNCTION_METRICS = 3;
/** SQS long polls of one event source in a month: five pollers, 20 s each. */
const POLLS = (5 * 3600 * HOURS) / 20;

interface Count {
  of(type: string): number;
  alarmMetrics: number;
}

/** What the template has of each type. */
function counted(serving: boolean): Count {
  const outdir = mkdtempSync(join(tmpdir(), 'cairn-costs-'));
  try {
    const context = {
      ...(serving ? { 'cairn:serving': true, 'cairn:modelServerImage': 'none' } : {}),
    };
    const { stacks } = cairnApp(new App({ outdir, context }), () =>
      Code.fromAsset(import.meta.dirname),
    ).app.synth();
    type Resource = { Type: string; Properties: Record<string, unknown> };
    const resources = stacks.flatMap(({ template }) => Object.values<Resource>(template.Resources));
    const of = (type: string) => resources.filter((resource) => resource.Type === type).length;
    const alarmMetrics = resources
      .filter((resource) => resource.Type === 'AWS::CloudWatch::Alarm')
      .map(({ Properties: { Metrics } }) =>
        Array.isArray(Metrics) ? Metrics.filter(({ MetricStat }) => MetricStat).length : 1,
      )
      .reduce((sum, metrics) => sum + metrics, 0);
    return { of, alarmMetrics };
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

/** Dollars a month of each line. */
function costs(usage: Usage): Record<string, number> {
  const count = counted(usage.serving);
  const { calls, storedGB, itemsGB, endpoints, requestRate } = usage;
  const price = (name: keyof typeof PRICES, amount: number) => PRICES[name].dollars * amount;
  const predictions = endpoints * requestRate * 3600 * HOURS;
  const timers = (2 * HOURS * 60) / 5 + HOURS + (usage.serving ? HOURS * 60 : 0);
  const gateways = 2;
  const interfaceEndpoints = Math.max(0, count.of('AWS::EC2::VPCEndpoint') - gateways);
  return {
    'Keys and secret':
      price('keyMonth', count.of('AWS::KMS::Key')) +
      price('secretMonth', count.of('AWS::SecretsManager::Secret')),
    'Alarms of Cairn itself': price('alarmMetricMonth', count.alarmMetrics),
    'Dashboard of Cairn itself': price('dashboardMonth', count.of('AWS::CloudWatch::Dashboard')),
    'Polls of queues, timers':
      price('sqsRequests', POLLS * count.of('AWS::Lambda::EventSourceMapping') + timers) +
      price('lambdaRequests', timers) +
      price('lambdaArmGBSecond', timers * 0.1 * 0.5),
    'API calls':
      price('restRequests', calls) +
      price('lambdaRequests', calls) +
      price('lambdaArmGBSecond', calls * 0.1) +
      price('tableReads', calls * 3) +
      price('tableWrites', calls * 4),
    Storage: price('s3GBMonth', storedGB) + price('tableGBMonth', itemsGB),
    'Load balancer':
      count.of('AWS::ElasticLoadBalancingV2::LoadBalancer') * price('balancerHour', HOURS) +
      price('balancerUnitHour', (HOURS * endpoints * requestRate) / 25),
    'VPC endpoints': price('interfaceEndpointHour', interfaceEndpoints * ZONES * HOURS),
    Tasks: endpoints * (price('armCpuHour', HOURS) + price('armGBHour', 2 * HOURS)),
    'Metrics, alarms and dashboards of endpoints':
      endpoints *
      (price('metricMonth', METRICS) + price('alarmMetricMonth', ALARM_METRICS) + price('dashboardMonth', 1)),
    'Metrics of functions': price(
      'metricMonth',
      FUNCTION_METRICS * (calls > 0 ? count.of('AWS::Lambda::Function') : 1),
    ),
    'Requests to endpoints': price('restRequests', predictions) + price('logsGB', predictions * 0.5e-6),
  };
}

const columns = USAGES.map((usage) => ({ name: usage.name, lines: costs(usage) }));
const dollars = (value: number) => (value === 0 ? '–' : value.toFixed(2));
const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
const lines = Object.keys(columns[0]?.lines ?? {});
console.log(row(['$ a month', ...columns.map(({ name }) => name)]));
console.log(row(['---', ...columns.map(() => '---:')]));
for (const line of lines)
  console.log(row([line, ...columns.map((column) => dollars(column.lines[line] ?? 0))]));
const sum = (values: Record<string, number>) =>
  Object.values(values).reduce((total, value) => total + value, 0);
console.log(row(['**sum**', ...columns.map((column) => `**${dollars(sum(column.lines))}**`)]));
console.log(`\nPrices: ${[...new Set(Object.values(PRICES).map(({ source }) => source))].join(', ')}.`);
