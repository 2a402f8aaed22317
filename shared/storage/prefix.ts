/** Where a model's bytes are: one model, one prefix, so that access can be scoped to it and deleting it is deleting a prefix. */
export const modelPrefix = (workspace: string, modelId: string) =>
  `workspaces/${workspace}/models/${modelId}/`;

/** The content address of a file's bytes. */
export const blobKey = (workspace: string, modelId: string, sha256: string) =>
  `${blobsPrefix(workspace, modelId)}${sha256}`;

export const blobsPrefix = (workspace: string, modelId: string) =>
  `${modelPrefix(workspace, modelId)}blobs/sha256/`;

/** Where the bytes of one file of an upload wait to be verified. */
export const stagingKey = (workspace: string, modelId: string, upload: string, file: number) =>
  `${stagingPrefix(workspace, modelId)}${upload}/${file}`;

export const stagingPrefix = (workspace: string, modelId: string) =>
  `${modelPrefix(workspace, modelId)}staging/`;

/** Where a file of an arrival waits until it is known to be a version's, and of which model. */
export const arrivalStagingKey = (workspace: string, arrival: string, file: number) =>
  `${arrivalsPrefix(workspace)}${arrival}/${file}`;

export const arrivalsPrefix = (workspace: string) => `workspaces/${workspace}/arrivals/`;

export const packBlobKey = (workspace: string, modelId: string, name: string) =>
  `${packsBlobPrefix(workspace, modelId)}${name}.pack`;

export const packsBlobPrefix = (workspace: string, modelId: string) =>
  `${modelPrefix(workspace, modelId)}git/packs/`;

export const refsBlobKey = (workspace: string, modelId: string, name: string) =>
  `${refsBlobPrefix(workspace, modelId)}${name}.json`;

export const refsBlobPrefix = (workspace: string, modelId: string) =>
  `${modelPrefix(workspace, modelId)}git/refs/`;

export const fileListBlobKey = (workspace: string, modelId: string, name: string) =>
  `${modelPrefix(workspace, modelId)}files/${name}.json`;

/** Where an object of Git LFS waits to be verified. */
export const lfsStagingKey = (workspace: string, modelId: string, upload: string) =>
  `${stagingPrefix(workspace, modelId)}lfs/${upload}`;
