import { readdir, realpath, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { CliError, usageError } from '../cli-error.ts';
import { path as urlPath } from '../client.ts';
import { run } from '../context.ts';
import { git, mustGit } from '../git.ts';
import { LFS_FILTER, requireLfs, trackModelFiles } from '../lfs-tracking.ts';
import { modelPath, parseModelRef, shellWord } from '../model-ref.ts';

export function clone(program: Command): void {
  program
    .command('clone')
    .description('clone a model’s Git repository, with its large files')
    .argument('<model>', 'for example digits or team/digits')
    .argument('[folder]', 'where to; a folder of the model’s name')
    .option('--depth <n>', 'only the last n commits')
    .option('--no-track', 'leave .gitattributes as it is')
    .addHelpText(
      'after',
      `
Runs git, with the token of \`cairn login\`, and sets the clone up: Git asks \`cairn credential\` for the token, and files
of models (*.onnx, *.safetensors, …) are kept by Git LFS. Then \`git commit\` and \`git push\`, or \`cairn push\`, make versions.

Run again after an interruption, it goes on where it was.

Examples:
  cairn clone digits
  cairn clone team/digits work --depth 1`,
    )
    .action(
      run(
        async (
          { client, output, settings, signal, workspace },
          text: string,
          folder: string | undefined,
          options: { depth?: string; track: boolean },
        ) => {
          const ref = parseModelRef(text, workspace);
          if (ref.target)
            throw usageError(
              `"${text}" names a version.`,
              `Clone "${ref.model}", then: git switch --detach v<number>`,
            );
          await requireLfs(signal);
          // Says what is wrong with the name or the token better than git does.
          await client.get(modelPath(ref));
          const url = settings.url.href + urlPath`${ref.workspace}/${ref.model}.git`;
          const target = folder ?? ref.model;
          const config = { ...LFS_FILTER, [`credential.${settings.url.origin}.helper`]: helper() };
          const depth = options.depth === undefined ? [] : ['--depth', options.depth];
          const quiet = output.quiet || output.json ? ['--quiet'] : [];
          if (await isInterrupted(target, url, signal)) {
            await goOn(target, [...depth, ...quiet], signal);
          } else {
            const settings = Object.entries(config).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
            await mustGit(['clone', ...settings, ...depth, ...quiet, '--', url, target], { signal });
          }
          const tracked = options.track ? await trackModelFiles(target, signal) : [];
          output.result({ url, folder: await realpath(target), tracked }, () =>
            [
              `Cloned ${ref.model} into ${target}.`,
              ...(tracked.length > 0
                ? [`Git LFS keeps ${tracked.slice(0, 3).join(', ')} … there: commit .gitattributes.`]
                : []),
              'Next: change files, git add, git commit, git push.',
            ].join('\n'),
          );
        },
      ),
    );
}

/**
 * Whether an earlier clone of it broke off there: Git writes the index last.
 * @throws CliError if something else is there
 */
async function isInterrupted(target: string, url: string, signal: AbortSignal): Promise<boolean> {
  const there: string[] = await readdir(target).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  if (there.length === 0) return false;
  const same =
    there.includes('.git') &&
    (
      await git(['-C', target, 'config', '--local', 'remote.origin.url'], { quiet: true, signal })
    ).stdout.trim() === url;
  if (same && !(await readdir(join(target, '.git'))).includes('index')) return true;
  throw new CliError({
    code: 'FOLDER_EXISTS',
    detail: same ? `"${target}" is a clone of it already.` : `"${target}" is not empty.`,
    fix: same ? `git -C ${target} pull` : 'Name another folder behind the model.',
  });
}

/** What is on the disk of the large files is not sent again. */
async function goOn(target: string, options: readonly string[], signal: AbortSignal): Promise<void> {
  for (const lock of ['index', 'shallow', 'packed-refs', 'HEAD', 'config'])
    await rm(join(target, '.git', `${lock}.lock`), { force: true });
  await mustGit(['fetch', ...options, 'origin'], { cwd: target, signal });
  const branches = (
    await mustGit(['branch', '--remotes', '--list', 'origin/main'], { cwd: target, signal })
  ).trim();
  if (branches !== '')
    await mustGit(['checkout', '--force', '-B', 'main', '--track', 'origin/main'], { cwd: target, signal });
}

/** This very program as Git's credential helper. */
function helper(): string {
  return `!${shellWord(process.execPath)} ${shellWord(process.argv[1] ?? '')} credential`;
}
