import type { RestApi } from 'aws-cdk-lib/aws-apigateway';
import type { ITable } from 'aws-cdk-lib/aws-dynamodb';
import type { ApplicationLoadBalancer } from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';

/** What tells whether Cairn itself is well. */
export interface Watched {
  readonly functions: Readonly<Record<string, IFunction>>;
  readonly api: RestApi;
  readonly deadLetters: Readonly<Record<string, IQueue>>;
  readonly table: ITable;
  /** In front of what is served. */
  readonly balancer?: ApplicationLoadBalancer | undefined;
}
