import { createHash } from 'node:crypto';
import type { EndpointRef } from '../../ports/serving-platform.ts';

/** Names of workspaces and endpoints have no `_`, so the two can be told apart again. */
export const serviceName = ({ workspace, endpoint }: EndpointRef) => `${workspace}_${endpoint}`;

/** The endpoint that a service runs; undefined for one that is not Cairn's. */
export function parseServiceName(name: string): EndpointRef | undefined {
  const [, workspace, endpoint] = /^([a-z0-9-]+)_([a-z0-9-]+)$/.exec(name) ?? [];
  return workspace && endpoint ? { workspace, endpoint } : undefined;
}

export const familyPrefix = (ref: EndpointRef) => `cairn-${serviceName(ref)}_r`;

/** A revision has a family of its own, so that the ARN of a task definition tells the revision. */
export const familyOf = (ref: EndpointRef, revision: number) => `${familyPrefix(ref)}${revision}`;

/** The revision that a task definition's ARN or family is of. */
export function revisionOf(taskDefinition: string | undefined): number | undefined {
  const [, revision] = /_r([1-9]\d*)(?::\d+)?$/.exec(taskDefinition ?? '') ?? [];
  return revision === undefined ? undefined : Number(revision);
}

/** 30 characters; a target group's name is unique in an account's region and has 32 at most. */
export function targetGroupName(cluster: string, ref: EndpointRef, which: 'a' | 'b'): string {
  const digest = createHash('sha256')
    .update(`${cluster}/${serviceName(ref)}`)
    .digest('hex');
  return `cairn-${digest.slice(0, 22)}-${which}`;
}

/** Where an endpoint's requests come in. */
export const pathOf = ({ workspace, endpoint }: EndpointRef) => `/endpoints/${workspace}/${endpoint}`;

/** What the log streams of a revision's tasks, or of all revisions', begin with. */
export const logPrefix = ({ workspace, endpoint }: EndpointRef, revision?: number) =>
  `${workspace}/${endpoint}/${revision === undefined ? '' : `r${revision}/`}`;

/** Keys and values that resources are tagged with, for bills and for people. */
export const tagsOf = (ref: EndpointRef): Record<string, string> => ({
  'cairn:workspace': ref.workspace,
  'cairn:endpoint': ref.endpoint,
});
