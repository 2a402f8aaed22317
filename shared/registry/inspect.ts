import { describeModel, type ReadableFile } from './format/describe.ts';
import type { Version } from './version.ts';

/** What a version's record tells of what its files say. */
export type Inspection = Pick<Version, 'framework' | 'modelFormat' | 'entry' | 'signature'>;

/**
 * Reads framework, format and signature from a version's files, without loading or deserialising any.
 * @throws CairnError `MODEL_FILE_INVALID` when a file is not what its name says
 */
export async function inspect(files: readonly ReadableFile[]): Promise<Inspection> {
  const { framework, format, entry, signature } = await describeModel(files);
  return { framework, modelFormat: format, entry, signature };
}
