import { Duration } from 'aws-cdk-lib';
import { Dashboard, GraphWidget, type IMetric, MathExpression, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { Operation } from 'aws-cdk-lib/aws-dynamodb';
import { Construct } from 'constructs';
import { NAMESPACE } from '../../shared/monitoring/metrics.ts';
import type { Watched } from './watched.ts';

const PERIOD = Duration.minutes(5);

/** One page about Cairn itself; models have their own, which are put at run time. */
export class OperationsDashboard extends Construct {
  constructor(scope: Construct, id: string, { functions, api, deadLetters, table }: Watched) {
    super(scope, id);
    const handlers = Object.entries(functions);
    const period = { period: PERIOD };
    const each = (metric: (handler: Watched['functions'][string], label: string) => IMetric) =>
      handlers.map(([label, handler]) => metric(handler, label));
    new Dashboard(this, 'Dashboard', {
      dashboardName: 'cairn-operations',
      defaultInterval: Duration.hours(3),
      widgets: [
        [
          graph('Requests', [
            api.metricCount(period),
            api.metricClientError(period),
            api.metricServerError(period),
          ]),
          graph('Latency', [
            api.metricLatency({ ...period, statistic: Stats.percentile(50), label: 'p50' }),
            api.metricLatency({ ...period, statistic: Stats.percentile(99), label: 'p99' }),
          ]),
          graph(
            'Dead letters',
            Object.entries(deadLetters).map(([label, queue]) =>
              queue.metricApproximateNumberOfMessagesVisible({ ...period, label, statistic: Stats.MAXIMUM }),
            ),
          ),
        ],
        [
          graph(
            'Function errors',
            each((handler, label) => handler.metricErrors({ ...period, label })),
          ),
          graph(
            'Function duration, p99',
            each((handler, label) =>
              handler.metricDuration({ ...period, label, statistic: Stats.percentile(99) }),
            ),
          ),
          graph('Table: throttled', [
            table.metricThrottledRequestsForOperations({
              ...period,
              operations: [Operation.GET_ITEM, Operation.QUERY, Operation.TRANSACT_WRITE_ITEMS],
            }),
          ]),
        ],
        [
          graph('Answered by functions', [written('Requests', 'Sum')]),
          graph('Errors that functions tell', [written('Errors', 'Sum')]),
          graph('Latency of functions, p99', [written('Latency', 'p99')]),
        ],
      ],
    });
  }
}

/** A metric that functions write themselves (functions/aws/measured.ts), of each of them. */
const written = (metric: string, statistic: string) =>
  new MathExpression({
    expression: `SEARCH('{${NAMESPACE},Function} MetricName="${metric}"', '${statistic}')`,
    period: PERIOD,
    label: '',
  });

const graph = (title: string, left: IMetric[]) => new GraphWidget({ title, left, width: 8, height: 6 });
