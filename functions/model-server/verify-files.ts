import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, normalize } from 'node:path';
import * as z from 'zod';
import { CairnError } from '../../shared/errors.ts';

export const ListedFile = z.object({
  path: z.string().min(1),
  size: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type ListedFile = z.infer<typeof ListedFile>;
const FileList = z.array(ListedFile);

/**
 * Reads the version's file list and checks size and SHA-256 of each file, streaming.
 * @throws CairnError `DIGEST_MISMATCH`, `SIZE_MISMATCH`, `FILE_NOT_FOUND`, or `INVALID_ARGUMENT` for a bad list
 */
export async function verifyFiles(directory: string, listPath: string): Promise<ListedFile[]> {
  const files = FileList.safeParse(JSON.parse(await readFile(listPath, 'utf8')));
  if (!files.success)
    throw new CairnError('INVALID_ARGUMENT', z.prettifyError(files.error), 'CAIRN_MODEL_FILES');
  for (const file of files.data) await verify(directory, file);
  return files.data;
}

/** The path below the model's directory. @throws CairnError `INVALID_ARGUMENT` for one that is not */
export function insideOf({ path }: ListedFile): string {
  const inside = normalize(path);
  if (inside !== '..' && !inside.startsWith('../') && !inside.startsWith('/')) return inside;
  throw new CairnError(
    'INVALID_ARGUMENT',
    `"${path}" is outside the model's directory.`,
    'CAIRN_MODEL_FILES',
  );
}

async function verify(directory: string, file: ListedFile): Promise<void> {
  const inside = insideOf(file);
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of createReadStream(join(directory, inside), { highWaterMark: 1024 * 1024 })) {
      size += chunk.length;
      hash.update(chunk);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new CairnError('FILE_NOT_FOUND', `"${file.path}" is missing.`, file.path);
  }
  if (size !== file.size) {
    throw new CairnError('SIZE_MISMATCH', `"${file.path}" has ${size} bytes, not ${file.size}.`, file.path);
  }
  const digest = hash.digest('hex');
  if (digest !== file.sha256) {
    throw new CairnError(
      'DIGEST_MISMATCH',
      `"${file.path}" has SHA-256 ${digest}, not ${file.sha256}.`,
      file.path,
    );
  }
}
