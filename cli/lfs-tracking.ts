import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CliError } from './cli-error.ts';
import { git, mustGit } from './git.ts';

/** Files of models are large and not text: these are kept by Git LFS. */
const PATTERNS = [
  '*.onnx',
  '*.safetensors',
  '*.gguf',
  '*.pt',
  '*.pth',
  '*.ckpt',
  '*.bin',
  '*.h5',
  '*.keras',
  '*.tflite',
  '*.pb',
  '*.pkl',
  '*.joblib',
  '*.npy',
  '*.npz',
  '*.parquet',
  '*.zip',
  '*.tar.gz',
];

/** What `git lfs install` would set for the user, for one repository. */
export const LFS_FILTER: Readonly<Record<string, string>> = {
  'filter.lfs.clean': 'git-lfs clean -- %f',
  'filter.lfs.smudge': 'git-lfs smudge -- %f',
  'filter.lfs.process': 'git-lfs filter-process',
  'filter.lfs.required': 'true',
};

/** @throws CliError if there is no git-lfs */
export async function requireLfs(signal: AbortSignal): Promise<void> {
  if ((await git(['lfs', 'version'], { quiet: true, signal })).status === 0) return;
  throw new CliError({
    code: 'GIT_LFS_MISSING',
    detail: 'There is no git-lfs.',
    fix: 'Install git-lfs: large files travel by it.',
  });
}

/**
 * Has Git LFS keep files of models in a clone, by its `.gitattributes`: not those whose pattern fits a file that Git
 * keeps itself, which would look changed.
 * @returns the patterns that were added
 */
export async function trackModelFiles(root: string, signal: AbortSignal): Promise<string[]> {
  const options = { cwd: root, signal };
  await mustGit(['lfs', 'install', '--local'], options);
  const file = join(root, '.gitattributes');
  const before = await readFile(file, 'utf8').catch(() => '');
  const tracked = (await mustGit(['ls-files', '-z', ':(attr:!filter)'], options)).split('\0');
  const plain = new Set(tracked.map((path) => path.slice(path.lastIndexOf('/') + 1).toLowerCase()));
  const lines = new Set(before.split('\n').map((line) => line.split(/\s/)[0]));
  const added = PATTERNS.filter(
    (pattern) => !lines.has(pattern) && ![...plain].some((name) => name.endsWith(pattern.slice(1))),
  );
  if (added.length === 0) return [];
  const gap = before === '' || before.endsWith('\n') ? '' : '\n';
  const text = added.map((pattern) => `${pattern} filter=lfs diff=lfs merge=lfs -text\n`).join('');
  // Rules for single files, further down, have the last word.
  await writeFile(file, text + before + gap);
  return added;
}
