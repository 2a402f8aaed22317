import { createHash } from 'node:crypto';
import type { Key } from '../ports/table.ts';

/** A sort key must be within DynamoDB's 1024 bytes with what is put around it. */
const NAME_BYTES = 800;

/** A name as part of a sort key: itself, or its digest where it is too long. */
export const keyPart = (name: string): string =>
  Buffer.byteLength(name) <= NAME_BYTES ? name : `sha256:${createHash('sha256').update(name).digest('hex')}`;

/** Thirteen digits, so that milliseconds sort as text until the year 2286. */
export const paddedTime = (ms: number) => String(Math.max(0, Math.trunc(ms))).padStart(13, '0');

export const experimentChain = (workspace: string, id: string) => `experiment/${workspace}/${id}`;
export const experimentsPartition = (workspace: string) => `experiments/${workspace}`;
export const experimentKey = (workspace: string, id: string): Key => ({
  pk: experimentsPartition(workspace),
  sk: id,
});
export const experimentNameKey = (workspace: string, name: string): Key => ({
  pk: `experiment-names/${workspace}`,
  sk: keyPart(name),
});

/** A run's own record and, beside it, one item for each parameter, tag, newest metric value, input and output. */
export const runPartition = (id: string) => `run/${id}`;
export const RUN = 'run';
export const runKey = (id: string): Key => ({ pk: runPartition(id), sk: RUN });

/** The runs of an experiment by their start. */
export const runsPartition = (workspace: string, experiment: string) => `runs/${workspace}/${experiment}`;
export const runEntryKey = (workspace: string, experiment: string, startTime: number, id: string): Key => ({
  pk: runsPartition(workspace, experiment),
  sk: `${paddedTime(startTime)}#${id}`,
});

export const PARAM_PREFIX = 'param#';
export const TAG_PREFIX = 'tag#';
export const METRIC_PREFIX = 'metric#';
export const DATASET_PREFIX = 'dataset#';
export const MODEL_INPUT_PREFIX = 'model-input#';
export const MODEL_OUTPUT_PREFIX = 'model-output#';

/** Every value of a run's metrics, apart from the run so that reading it reads none of them. */
export const metricsPartition = (run: string) => `metrics/${run}`;
export const metricPrefix = (metric: string) => `${keyPart(metric)}#`;

export const loggedModelPartition = (id: string) => `logged-model/${id}`;
export const MODEL = 'model';
export const loggedModelKey = (id: string): Key => ({ pk: loggedModelPartition(id), sk: MODEL });
export const loggedModelsPartition = (workspace: string, experiment: string) =>
  `logged-models/${workspace}/${experiment}`;
export const loggedModelEntryKey = (
  workspace: string,
  experiment: string,
  createdAt: number,
  id: string,
): Key => ({
  pk: loggedModelsPartition(workspace, experiment),
  sk: `${paddedTime(createdAt)}#${id}`,
});

/** The artifacts of a run or logged model: path → where its bytes are. */
export const artifactsPartition = (owner: string) => `artifacts/${owner}`;

/** Artifacts on their way in parts. */
export const ARTIFACT_UPLOADS = 'artifact-uploads';
export const artifactUploadKey = (id: string): Key => ({ pk: ARTIFACT_UPLOADS, sk: id });

/** Bytes that nothing recorded and that are about to go, by what their key has behind the owner's prefix. */
export const givenUpPartition = (owner: string) => `artifacts-given-up/${owner}`;
export const givenUpKey = (owner: string, name: string): Key => ({ pk: givenUpPartition(owner), sk: name });

/** Where the walk through a workspace's artifacts is that looks for such bytes. */
export const artifactWalkKey = (workspace: string): Key => ({ pk: 'artifact-walks', sk: workspace });

/** What was deleted in a workspace and is still there, by when. */
export const deletedPartition = (workspace: string) => `deleted/${workspace}`;
export const deletedKey = (workspace: string, deletedAt: number, kind: string, id: string): Key => ({
  pk: deletedPartition(workspace),
  sk: `${paddedTime(deletedAt)}#${kind}#${id}`,
});

/** What is being removed for good. */
export const TRACKING_PURGES = 'tracking-purges';
export const trackingPurgeKey = (kind: string, workspace: string, id: string): Key => ({
  pk: TRACKING_PURGES,
  sk: `${kind}#${workspace}#${id}`,
});
