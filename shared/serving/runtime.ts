import { detectFormat } from '../registry/format/detect.ts';

/** What a version's files can be served by: the ONNX model server, or Python with what MLflow's `MLmodel` says. */
export type Runtime =
  | { readonly kind: 'onnx' }
  /** The folder of the `MLmodel` file; `.` for the root. */
  | { readonly kind: 'mlflow'; readonly folder: string };

/** The runtime for these files, by their names; undefined when there is none. An ONNX file is served as it is. */
export function runtimeOf(
  files: readonly { readonly path: string; readonly size: number }[],
): Runtime | undefined {
  if (files.some(({ path }) => path.toLowerCase().endsWith('.onnx'))) return { kind: 'onnx' };
  const { format, entry } = detectFormat(files);
  return format === 'mlflow' && entry !== undefined ? { kind: 'mlflow', folder: entry } : undefined;
}

/** The path of a file in that folder. */
export const inFolder = (folder: string, name: string) => (folder === '.' ? name : `${folder}/${name}`);
