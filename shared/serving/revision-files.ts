import { CairnError } from '../errors.ts';
import type { KeyService } from '../ports/key-service.ts';
import type { Ports } from '../ports/ports.ts';
import type { EndpointRef } from '../ports/serving-platform.ts';
import { findEndpoint } from './endpoint.ts';
import { neededRevisions } from './rollout.ts';
import type { VersionSource } from './version-source.ts';

export interface RevisionRef extends EndpointRef {
  readonly revision: number;
}

export type RevisionFilesDeps = Pick<Ports, 'table' | 'blobs' | 'keys'> & {
  readonly versions: Pick<VersionSource, 'listFiles'>;
};

/** A file of a revision with where to get it. */
export interface RevisionFileUrl {
  readonly path: string;
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Good for {@link URL_LIFETIME} seconds. */
  readonly url: string;
}

const URL_LIFETIME = 3600;
/** A signed URL has some 1.5 KB, and a load balancer takes an answer of 1 MB from a function. */
const PAGE = 200;

const TOKEN = /^cairn-revision\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/** No other message that Cairn signs begins so. */
const signedText = ({ workspace, endpoint, revision }: RevisionRef) =>
  Buffer.from(`cairn-revision-files/1\n${workspace}\n${endpoint}\n${revision}`);

/**
 * A signature that says that its bearer is a replica of the revision. Nothing is stored for it; it is worth something as
 * long as the endpoint needs the revision, and since a revision's number is never used again, never afterwards.
 */
export async function filesToken(keys: Pick<KeyService, 'sign'>, revision: RevisionRef): Promise<string> {
  const { keyId, signature } = await keys.sign(signedText(revision));
  return `cairn-revision.${Buffer.from(keyId).toString('base64url')}.${Buffer.from(signature).toString('base64url')}`;
}

/**
 * A page of the revision's files, as long as the endpoint runs it or may go back to it: what a replica loads, also one
 * that is started again long after the revision was made.
 * @throws CairnError `UNAUTHENTICATED`, `ENDPOINT_NOT_FOUND`
 */
export async function revisionFiles(
  ports: RevisionFilesDeps,
  ref: RevisionRef,
  token: string,
  after = 0,
): Promise<{ files: RevisionFileUrl[]; next?: number }> {
  const { workspace, endpoint, revision } = ref;
  const [, keyId = '', signature = ''] = TOKEN.exec(token) ?? [];
  const holds = await ports.keys.verify(
    Buffer.from(keyId, 'base64url').toString(),
    signedText(ref),
    Buffer.from(signature, 'base64url'),
  );
  if (!holds) throw new CairnError('UNAUTHENTICATED', 'The token is not one of this revision.');
  const { status } = await findEndpoint(ports.table, ref);
  const needed = neededRevisions(status.state).find((one) => one.revision === revision);
  if (!needed) {
    throw new CairnError('ENDPOINT_NOT_FOUND', `"${endpoint}" needs no revision ${revision}.`, 'revision');
  }
  const { modelId, version } = needed.template;
  const all = await ports.versions.listFiles(workspace, modelId, version);
  const files = await Promise.all(
    all.slice(after, after + PAGE).map(async ({ path, size, sha256, key }) => {
      return { path, size, sha256, url: await ports.blobs.presignGet(key, { expiresIn: URL_LIFETIME }) };
    }),
  );
  return after + PAGE < all.length ? { files, next: after + PAGE } : { files };
}
