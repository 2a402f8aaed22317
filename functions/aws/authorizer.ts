import type { Logger } from 'pino';
import { authorize } from '../../shared/access/grant.ts';
import type { TrustedIssuer } from '../../shared/access/issuer.ts';
import { presentedToken } from '../../shared/access/presented-token.ts';
import { authenticate } from '../../shared/access/token.ts';
import { CairnError } from '../../shared/errors.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import { AuthorizerEvent, type Invocation } from './events.ts';

/** What a REST API takes from its authorizer. */
interface Decision {
  readonly principalId: string;
  readonly policyDocument: {
    readonly Version: '2012-10-17';
    readonly Statement: readonly [
      { readonly Action: 'execute-api:Invoke'; readonly Effect: 'Allow' | 'Deny'; readonly Resource: string },
    ];
  };
  readonly context: Readonly<Record<string, string>>;
}

/**
 * Whether the request's token may call the endpoint: its role has to be `viewer` at least. A decision is kept for the path
 * and the token, whatever the method, so it is about all methods.
 * @throws Error `Unauthorized`, by which the gateway answers 401, for a token that is not good
 */
export function authoriser({
  table,
  clock,
  issuer,
  logger,
}: Pick<Ports, 'table' | 'clock'> & {
  readonly issuer?: TrustedIssuer | undefined;
  readonly logger: Pick<Logger, 'info'>;
}) {
  return async (event: unknown, { awsRequestId }: Pick<Invocation, 'awsRequestId'>): Promise<Decision> => {
    const { methodArn, headers, pathParameters, requestContext } = AuthorizerEvent.parse(event);
    const { workspace, name } = pathParameters;
    const { requestId = awsRequestId } = requestContext;
    const decide = (principalId: string, Effect: 'Allow' | 'Deny', context = {}): Decision => {
      const Resource = `${methodArn.split('/').slice(0, 2).join('/')}/*/endpoints/${workspace}/${name}/*`;
      logger.info(
        { requestId, principal: principalId, workspace, endpoint: name, effect: Effect },
        'decided',
      );
      return {
        principalId,
        policyDocument: {
          Version: '2012-10-17',
          Statement: [{ Action: 'execute-api:Invoke', Effect, Resource }],
        },
        context,
      };
    };
    let principal = UNNAMED;
    try {
      const token = presentedToken(authorizationOf(headers));
      const caller = await authenticate({ table, clock }, token, requestId, issuer);
      ({ principal } = caller);
      authorize(caller, 'viewer', { workspace, name });
      return decide(principal, 'Allow', { tokenId: caller.tokenId ?? '' });
    } catch (error) {
      if (!(error instanceof CairnError)) throw error;
      if (error.code === 'PERMISSION_DENIED') return decide(principal, 'Deny');
      if (error.code !== 'UNAUTHENTICATED') throw error;
      logger.info({ requestId, workspace, endpoint: name, detail: error.detail }, 'refused');
      throw new Error(UNAUTHORIZED);
    }
  };
}

/** The gateway wants a name also of someone whom the issuer vouches for and no rule gives a role. */
const UNNAMED = 'unnamed';

/** By this message the gateway answers 401. */
const UNAUTHORIZED = 'Unauthorized';

export const isRefusal = (error: unknown): boolean =>
  error instanceof Error && error.message === UNAUTHORIZED;

/** Header names come as the client wrote them. */
const authorizationOf = (headers: AuthorizerEvent['headers']) =>
  Object.entries(headers ?? {}).find(([name]) => name.toLowerCase() === 'authorization')?.[1];
