import type { IncomingMessage } from 'node:http';
import { authorize } from '../../shared/access/grant.ts';
import type { TrustedIssuer } from '../../shared/access/issuer.ts';
import { presentedToken } from '../../shared/access/presented-token.ts';
import { authenticate } from '../../shared/access/token.ts';
import type { Ports } from '../../shared/ports/ports.ts';
import type { EndpointRef } from '../../shared/ports/serving-platform.ts';

/** Whether the request's token may call the endpoint: its role has to be `viewer` at least. */
export function authoriseRequest(ports: Pick<Ports, 'table' | 'clock'>, issuer: TrustedIssuer | undefined) {
  return async (req: IncomingMessage, { workspace, endpoint }: EndpointRef): Promise<void> => {
    const token = presentedToken(req.headers.authorization);
    const caller = await authenticate(ports, token, 'data-plane', issuer);
    authorize(caller, 'viewer', { workspace, name: endpoint });
  };
}
