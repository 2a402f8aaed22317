import { detectFormat } from './format/detect.ts';
import { readOnnxSignature } from './format/onnx.ts';
import type { Signature } from './format/signature.ts';

/** What the files themselves say about the model. */
export interface Inspection {
  readonly framework?: string;
  readonly modelFormat?: string;
  readonly entry?: string;
  readonly signature?: Signature;
}

/**
 * Reads framework, format and signature from a version's files, without loading or deserialising any.
 * `read` gives the bytes `start` (inclusive) to `end` (exclusive) of a file.
 * @throws CairnError `MODEL_FILE_INVALID` when the file to load is not what its name says
 */
export async function inspect(
  files: readonly { path: string; size: number; sha256: string }[],
  read: (file: { path: string; sha256: string }, start: number, end: number) => Promise<Uint8Array>,
): Promise<Inspection> {
  const { framework, format, entry } = detectFormat(files);
  const file = files.find(({ path }) => path === entry);
  const signature =
    format === 'onnx' && file
      ? await readOnnxSignature((start, end) => read(file, start, end), file.size)
      : undefined;
  return {
    ...(framework === undefined ? {} : { framework }),
    ...(format === undefined ? {} : { modelFormat: format }),
    ...(entry === undefined ? {} : { entry }),
    ...(signature === undefined ? {} : { signature }),
  };
}
