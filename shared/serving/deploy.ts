import type { Caller } from '../access/caller.ts';
import { CairnError } from '../errors.ts';
import type { EndpointRef } from '../ports/serving-platform.ts';
import {
  createEndpoint,
  type DeployOptions,
  type EndpointView,
  findEndpoint,
  type ServingPorts,
  updateEndpoint,
} from './endpoint.ts';
import type { EndpointSpecInput } from './endpoint-spec.ts';

/** A model's version or alias to deploy, with what else of the spec is to change. */
export type Deployment = Pick<EndpointSpecInput, 'model' | 'target'> & Partial<EndpointSpecInput>;

/**
 * Deploys to the endpoint, which is made if it is not there; of one that is there, what is not named stays as it is.
 * @throws CairnError as {@link createEndpoint} and {@link updateEndpoint}
 */
export async function deploy(
  ports: ServingPorts,
  caller: Caller,
  ref: EndpointRef,
  deployment: Deployment,
  options: DeployOptions = {},
): Promise<{ created: boolean; endpoint: EndpointView }> {
  for (;;) {
    const found = await findEndpoint(ports.table, ref).catch(only('ENDPOINT_NOT_FOUND'));
    if (found) {
      const spec = { ...found.endpoint.spec, ...deployment };
      return {
        created: false,
        endpoint: await updateEndpoint(ports, caller, ref, spec, { ...options, ifMatch: found.rev }),
      };
    }
    const endpoint = await createEndpoint(ports, caller, ref, deployment, options).catch(
      only('ENDPOINT_EXISTS'),
    );
    if (endpoint) return { created: true, endpoint };
  }
}

const only = (code: CairnError['code']) => (error: unknown) => {
  if (error instanceof CairnError && error.code === code) return undefined;
  throw error;
};
