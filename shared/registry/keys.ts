import { createHash } from 'node:crypto';
import type { Key } from '../ports/table.ts';
import type { Stage } from './version.ts';

/** Ten digits, so that numbers sort as text. */
export const padded = (number: number) => String(number).padStart(10, '0');

export const modelChain = (id: string) => `model/${id}`;
export const workspaceChain = (name: string) => `workspace/${name}`;

export const WORKSPACES = 'workspaces';
export const workspaceKey = (name: string): Key => ({ pk: WORKSPACES, sk: name });

/** The workspace's directory: a model's name → its id. */
export const modelsPartition = (workspace: string) => `models/${workspace}`;
export const modelEntryKey = (workspace: string, name: string): Key => ({
  pk: modelsPartition(workspace),
  sk: name,
});

/** When the last model of that name was deleted. */
export const deletedModelKey = (workspace: string, name: string): Key => ({
  pk: `deleted-models/${workspace}`,
  sk: name,
});

export const modelKey = (id: string): Key => ({ pk: modelChain(id), sk: 'model' });
export const repositoryKey = (id: string): Key => ({ pk: modelChain(id), sk: 'repository' });

export const VERSION_PREFIX = 'version#';
export const versionKey = (id: string, number: number): Key => ({
  pk: modelChain(id),
  sk: `${VERSION_PREFIX}${padded(number)}`,
});

/** Which versions are in one of MLflow's stages, so that the newest of each is one read away. */
export const STAGE_PREFIX = 'stage#';
export const stagePrefix = (stage: Stage) => `${STAGE_PREFIX}${stage}#`;
export const stageKey = (id: string, stage: Stage, number: number): Key => ({
  pk: modelChain(id),
  sk: `${stagePrefix(stage)}${padded(number)}`,
});

/** The versions of all models that came from one run. */
export const runVersionsPartition = (workspace: string, run: string) =>
  `run-versions/${workspace}/${createHash('sha256').update(run).digest('hex')}`;
export const runVersionKey = (workspace: string, run: string, id: string, number: number): Key => ({
  pk: runVersionsPartition(workspace, run),
  sk: `${id}#${padded(number)}`,
});

export const ALIAS_PREFIX = 'alias#';
export const aliasKey = (id: string, alias: string): Key => ({
  pk: modelChain(id),
  sk: `${ALIAS_PREFIX}${alias}`,
});
export const aliasHistoryPrefix = (alias: string) => `alias-history#${alias}#`;
export const aliasHistoryKey = (id: string, alias: string, seq: number): Key => ({
  pk: modelChain(id),
  sk: `${aliasHistoryPrefix(alias)}${padded(seq)}`,
});

export const approvalHistoryPrefix = (number: number) => `approval-history#${padded(number)}#`;
export const approvalHistoryKey = (id: string, number: number, seq: number): Key => ({
  pk: modelChain(id),
  sk: `${approvalHistoryPrefix(number)}${padded(seq)}`,
});

export const UPLOAD_PREFIX = 'upload#';
export const uploadKey = (id: string, upload: string): Key => ({
  pk: modelChain(id),
  sk: `${UPLOAD_PREFIX}${upload}`,
});

/** Uploads of LFS objects in parts; who knows the name may complete one. */
export const lfsUploadKey = (id: string, name: string): Key => ({ pk: `lfs-uploads/${id}`, sk: name });

/** What a garbage collection may remove. */
export const sweepKey = (id: string, number: number): Key => ({ pk: `sweeps/${id}`, sk: padded(number) });

/** Objects of Git LFS that somebody who is about to push was told not to send. */
export const promisesPartition = (id: string) => `lfs-promises/${id}`;
export const promiseKey = (id: string, sha256: string): Key => ({ pk: promisesPartition(id), sk: sha256 });

/** LFS objects that were sent and are still being verified, or were refused. */
export const lfsVerificationsPartition = (id: string) => `lfs-verifications/${id}`;
export const lfsVerificationKey = (id: string, oid: string, upload: string): Key => ({
  pk: lfsVerificationsPartition(id),
  sk: `${oid}/${upload}`,
});

export const LOCK_PREFIX = 'lock#';
export const lockKey = (id: string, lock: string): Key => ({
  pk: modelChain(id),
  sk: `${LOCK_PREFIX}${lock}`,
});

/** Packs and file lists stand apart, so that listing versions reads none of them. */
export const packsPartition = (id: string) => `packs/${id}`;
/** Packs have numbers of their own, 1, 2, 3 …; the root says the last one. */
export const packKey = (id: string, number: number): Key => ({ pk: packsPartition(id), sk: padded(number) });
export const fileListsPartition = (id: string) => `files/${id}`;
export const fileListKey = (id: string, name: string): Key => ({ pk: fileListsPartition(id), sk: name });

/** Marks a version that an endpoint's revision runs or needs to go back to. */
export const USE_PREFIX = 'use/';
export const usePrefix = (number: number) => `${USE_PREFIX}${padded(number)}/`;
/** Marks a model that an endpoint's spec names. */
export const FOLLOWER_PREFIX = 'follower/';
