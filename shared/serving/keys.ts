import type { EndpointRef } from '../ports/serving-platform.ts';
import type { Key } from '../ports/table.ts';

const padded = (number: number) => String(number).padStart(10, '0');

/** An endpoint's partition, and the name of its audit chain. */
export const endpointChain = ({ workspace, endpoint }: EndpointRef) => `endpoint/${workspace}/${endpoint}`;

/** The endpoint that a chain belongs to. */
export function endpointOf(chain: string): EndpointRef | undefined {
  const [kind, workspace, endpoint] = chain.split('/');
  return kind === 'endpoint' && workspace && endpoint ? { workspace, endpoint } : undefined;
}

export const endpointKey = (ref: EndpointRef): Key => ({ pk: endpointChain(ref), sk: 'endpoint' });
export const statusKey = (ref: EndpointRef): Key => ({ pk: endpointChain(ref), sk: 'status' });
/** Outlives the endpoint, so that one of the same name goes on counting. */
export const numbersKey = (ref: EndpointRef): Key => ({ pk: endpointChain(ref), sk: 'numbers' });

export const ROLLOUT_PREFIX = 'rollout#';
export const rolloutKey = (ref: EndpointRef, rollout: number): Key => ({
  pk: endpointChain(ref),
  sk: `${ROLLOUT_PREFIX}${padded(rollout)}`,
});
export const revisionKey = (ref: EndpointRef, revision: number): Key => ({
  pk: endpointChain(ref),
  sk: `revision#${padded(revision)}`,
});

/** The directory of a workspace's endpoints. */
export const endpointsPartition = (workspace: string) => `endpoints/${workspace}`;
export const endpointEntryKey = ({ workspace, endpoint }: EndpointRef): Key => ({
  pk: endpointsPartition(workspace),
  sk: endpoint,
});

/** In the model's partition: a revision runs the version or needs it to go back, so the version cannot be deleted. */
export const useKey = (modelId: string, version: number, ref: EndpointRef, revision: number): Key => ({
  pk: `model/${modelId}`,
  sk: `use/${padded(version)}/${ref.workspace}/${ref.endpoint}/${revision}`,
});

/** In the model's partition: the endpoint's spec names the model. */
export const FOLLOWER_PREFIX = 'follower/';
export const followerKey = (modelId: string, ref: EndpointRef): Key => ({
  pk: `model/${modelId}`,
  sk: `${FOLLOWER_PREFIX}${ref.workspace}/${ref.endpoint}`,
});
