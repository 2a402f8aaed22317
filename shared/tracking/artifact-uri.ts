import type { LoggedModel } from './logged-model.ts';
import type { Run } from './run.ts';

/** What a path below the artifact service names. */
export type ArtifactPlace =
  | { readonly kind: 'run' | 'logged-model'; readonly id: string; readonly path: string }
  | { readonly kind: 'version'; readonly model: string; readonly number: number; readonly path: string };

const RUN = /^\d+\/([a-zA-Z0-9][\w-]*)\/artifacts(?:\/(.*))?$/s;
const LOGGED_MODEL = /^\d+\/models\/(m-[\w-]+)\/artifacts(?:\/(.*))?$/s;
const VERSION = /^registry\/([0-9a-f-]{36})\/(\d{1,10})(?:\/(.*))?$/s;

/** Reads `<experiment>/<run>/artifacts/…`, `<experiment>/models/<id>/artifacts/…` and `registry/<model>/<version>/…`. */
export function parseArtifactPath(whole: string): ArtifactPlace | undefined {
  const text = whole.replace(/^\/+|\/+$/g, '');
  const model = LOGGED_MODEL.exec(text);
  if (model) return { kind: 'logged-model', id: model[1] ?? '', path: model[2] ?? '' };
  const run = RUN.exec(text);
  if (run) return { kind: 'run', id: run[1] ?? '', path: run[2] ?? '' };
  const version = VERSION.exec(text);
  if (!version) return undefined;
  return { kind: 'version', model: version[1] ?? '', number: Number(version[2]), path: version[3] ?? '' };
}

/** `mlflow-artifacts:/<path>`, with or without a host; undefined for a URI of anything else. */
export function artifactPathOf(uri: string): string | undefined {
  return /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.*)$/s.exec(uri)?.[1];
}

/** Where a client finds a run's artifacts. */
export const runArtifactUri = ({ id, experiment, artifactLocation }: Run): string =>
  artifactLocation ?? `mlflow-artifacts:/${experiment}/${id}/artifacts`;

/** Where a client finds a logged model's artifacts. */
export const loggedModelArtifactUri = ({ id, experiment, artifactLocation }: LoggedModel): string =>
  artifactLocation ?? `mlflow-artifacts:/${experiment}/models/${id}/artifacts`;

/** Where a client finds what an experiment's runs leave. */
export const experimentArtifactUri = ({
  id,
  artifactLocation,
}: {
  readonly id: string;
  readonly artifactLocation?: string;
}): string => artifactLocation ?? `mlflow-artifacts:/${id}`;
