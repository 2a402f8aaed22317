import type { Logger } from 'pino';
import type { RevisionFilesDeps } from '../../shared/serving/revision-files.ts';
import { answerRevisionFiles } from '../revision-files/handler.ts';
import { BalancerEvent, type Invocation } from './events.ts';

interface BalancerAnswer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly isBase64Encoded: false;
}

/** Tells tasks, which ask by the load balancer, where their revision's files are. */
export function revisionFilesDoor(deps: RevisionFilesDeps & { readonly logger: Pick<Logger, 'info'> }) {
  return async (event: unknown, { awsRequestId: requestId }: Invocation): Promise<BalancerAnswer> => {
    const { httpMethod: method, path, queryStringParameters, headers } = BalancerEvent.parse(event);
    const { status, ...answer } = await answerRevisionFiles(deps, {
      method,
      path,
      after: queryStringParameters?.after,
      authorization: headers?.authorization,
    });
    deps.logger.info({ requestId, method, path, status }, 'request');
    return { statusCode: status, ...answer, isBase64Encoded: false };
  };
}
