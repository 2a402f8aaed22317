import { CairnError } from '../../errors.ts';
import { type DetectedFormat, detectFormat } from './detect.ts';
import { readOnnxSignature } from './onnx.ts';
import type { Signature } from './signature.ts';
import type { ReadRange } from './wire-reader.ts';

/** A file of a version and how to read a part of it. */
export interface ReadableFile {
  readonly path: string;
  readonly size: number;
  readonly read: ReadRange;
}

export interface ModelDescription extends DetectedFormat {
  readonly signature?: Signature;
}

/**
 * What a version is: framework, format, the file to load and the signature, from names, ONNX graphs and MLmodel.
 * Every `.onnx` file is checked, and that the weights it keeps in other files are there.
 * @throws CairnError `MODEL_FILE_INVALID` with the file's path as its field
 */
export async function describeModel(files: readonly ReadableFile[]): Promise<ModelDescription> {
  const onnx = new Map<string, Signature>();
  for (const file of files) {
    if (file.path.toLowerCase().endsWith('.onnx')) onnx.set(file.path, await readOnnx(file, files));
  }
  const detected = detectFormat(files);
  if (detected.format === 'mlflow' && detected.entry !== undefined)
    return describeMlflow(detected, files, onnx);
  const signature = detected.entry === undefined ? undefined : onnx.get(detected.entry);
  return { ...detected, ...(signature === undefined ? {} : { signature }) };
}

async function describeMlflow(
  detected: DetectedFormat,
  files: readonly ReadableFile[],
  onnx: ReadonlyMap<string, Signature>,
): Promise<ModelDescription> {
  // With a YAML parser, which few versions need.
  const { MLMODEL_LIMIT, readMlmodel } = await import('./mlmodel.ts');
  const folder = detected.entry as string;
  const path = folder === '.' ? 'MLmodel' : `${folder}/MLmodel`;
  const file = files.find((candidate) => candidate.path === path) as ReadableFile;
  if (file.size > MLMODEL_LIMIT) {
    throw new CairnError('MODEL_FILE_INVALID', `${path} is longer than ${MLMODEL_LIMIT} bytes.`, path);
  }
  const contents = await naming(path, async () =>
    readMlmodel(new TextDecoder().decode(await file.read(0, file.size))),
  );
  const graph = contents.onnx === undefined ? undefined : beside(path, contents.onnx);
  const signature = (graph === undefined ? undefined : onnx.get(graph)) ?? contents.signature;
  return {
    framework: contents.framework,
    format: 'mlflow',
    entry: graph !== undefined && onnx.has(graph) ? graph : folder,
    ...(signature === undefined ? {} : { signature }),
  };
}

async function readOnnx(file: ReadableFile, files: readonly ReadableFile[]): Promise<Signature> {
  const signature = await naming(file.path, () => readOnnxSignature(file.read, file.size));
  const missing = signature.onnx?.externalData?.find(
    (location) => !files.some((other) => other.path === beside(file.path, location)),
  );
  if (missing === undefined) return signature;
  const detail = `${file.path} keeps weights in "${missing}" beside it, which is not among the files.`;
  throw new CairnError('MODEL_FILE_INVALID', detail, file.path);
}

async function naming<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CairnError)) throw error;
    throw new CairnError(error.code, `${path}: ${error.detail}`, path);
  }
}

/** The path of `name`, which is relative to the folder that `path` is in. */
function beside(path: string, name: string): string {
  const parts = path.split('/').slice(0, -1);
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}
