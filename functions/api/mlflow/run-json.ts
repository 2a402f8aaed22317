import { runArtifactUri } from '../../../shared/tracking/artifact-uri.ts';
import type { Metric } from '../../../shared/tracking/metric.ts';
import type { Run, RunDetail } from '../../../shared/tracking/run.ts';

export const runInfoJson = (run: Run) => ({
  run_uuid: run.id,
  experiment_id: run.experiment,
  run_name: run.name,
  user_id: run.user,
  status: run.status,
  start_time: run.startTime,
  ...(run.endTime === undefined ? {} : { end_time: run.endTime }),
  artifact_uri: runArtifactUri(run),
  lifecycle_stage: run.lifecycle,
  run_id: run.id,
});

/** Numbers that JSON does not have are text, as Protocol Buffers' JSON writes them. */
export const doubleJson = (value: number): number | string =>
  Number.isFinite(value) ? value : String(value);

export const metricJson = ({ key, value, timestamp, step }: Metric) => ({
  key,
  value: doubleJson(value),
  timestamp,
  step,
});

export const entriesJson = (map: ReadonlyMap<string, string>) =>
  [...map].map(([key, value]) => ({ key, value }));

export const runJson = (detail: RunDetail) => ({
  info: runInfoJson(detail.run),
  data: {
    ...(detail.metrics.size === 0 ? {} : { metrics: [...detail.metrics.values()].map(metricJson) }),
    ...(detail.params.size === 0 ? {} : { params: entriesJson(detail.params) }),
    ...(detail.tags.size === 0 ? {} : { tags: entriesJson(detail.tags) }),
  },
  inputs: {
    ...(detail.datasets.length === 0 ? {} : { dataset_inputs: detail.datasets.map(datasetJson) }),
    ...(detail.modelInputs.length === 0
      ? {}
      : { model_inputs: detail.modelInputs.map(({ model }) => ({ model_id: model })) }),
  },
  outputs: {
    ...(detail.modelOutputs.length === 0
      ? {}
      : {
          model_outputs: detail.modelOutputs.map(({ model, step }) => ({ model_id: model, step })),
        }),
  },
});

const datasetJson = ({ dataset, tags }: RunDetail['datasets'][number]) => ({
  ...(tags.length === 0 ? {} : { tags }),
  dataset: {
    name: dataset.name,
    digest: dataset.digest,
    source_type: dataset.sourceType,
    source: dataset.source,
    ...(dataset.schema === undefined ? {} : { schema: dataset.schema }),
    ...(dataset.profile === undefined ? {} : { profile: dataset.profile }),
  },
});
