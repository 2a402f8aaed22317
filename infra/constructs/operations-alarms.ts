import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IMetric,
  Metric,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import { HttpCodeElb } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import type { Watched } from './watched.ts';

const PERIOD = Duration.minutes(5);

/** Alarms of Cairn itself: `cairn-operations-…`, none of which an endpoint's alarm can be taken for. */
export class OperationsAlarms extends Construct {
  readonly #topic: ITopic;

  constructor(
    scope: Construct,
    id: string,
    { topic, functions, api, deadLetters, balancer }: Watched & { topic: ITopic },
  ) {
    super(scope, id);
    this.#topic = topic;
    for (const [name, queue] of Object.entries(deadLetters)) {
      this.#alarm(
        `dead-letters-${name}`,
        queue.metricApproximateNumberOfMessagesVisible({ period: PERIOD, statistic: Stats.MAXIMUM }),
        'Messages that could not be handled: see the log of the function, then redrive the queue.',
      );
    }
    for (const [name, handler] of Object.entries(functions)) {
      this.#alarm(
        `errors-${name}`,
        handler.metricErrors({ period: PERIOD }),
        `Runs of ${name} failed: see its log.`,
      );
    }
    // Concurrency is the account's, so another function's throttling is soon Cairn's.
    this.#alarm(
      'throttles',
      new Metric({ namespace: 'AWS/Lambda', metricName: 'Throttles', period: PERIOD, statistic: Stats.SUM }),
      'Functions are at the bound of concurrency: of the account, or cairn:reservedConcurrency.',
    );
    this.#alarm(
      'api-5xx',
      api.metricServerError({ period: PERIOD }),
      'The API answered 5xx: see its access log.',
    );
    // What no container answered, none counted: the error rate of an endpoint does not have it.
    for (const code of [HttpCodeElb.ELB_502_COUNT, HttpCodeElb.ELB_504_COUNT]) {
      if (!balancer) break;
      this.#alarm(
        `balancer-${code.replace(/\D/g, '')}`,
        balancer.metrics.httpCodeElb(code, { period: PERIOD, statistic: Stats.SUM }),
        'Tasks broke off or did not answer: `cairn status` and `cairn logs` of the endpoints tell which and why.',
      );
    }
  }

  #alarm(name: string, metric: IMetric, alarmDescription: string): void {
    const alarm = new Alarm(this, name, {
      alarmName: `cairn-operations-${name}`,
      alarmDescription,
      metric,
      threshold: 1,
      evaluationPeriods: 1,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    });
    alarm.addAlarmAction(new SnsAction(this.#topic));
    alarm.addOkAction(new SnsAction(this.#topic));
  }
}
