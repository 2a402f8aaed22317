import { realpath } from 'node:fs/promises';
import type { Command } from 'commander';
import { usageError } from '../cli-error.ts';
import { path as urlPath } from '../client.ts';
import { run } from '../context.ts';
import { mustGit } from '../git.ts';
import { LFS_FILTER, requireLfs, trackModelFiles } from '../lfs-tracking.ts';
import { modelPath, parseModelRef } from '../model-ref.ts';

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
          await mustGit(
            [
              'clone',
              ...Object.entries(config).flatMap(([key, value]) => ['-c', `${key}=${value}`]),
              ...(options.depth === undefined ? [] : ['--depth', options.depth]),
              ...(output.quiet || output.json ? ['--quiet'] : []),
              '--',
              url,
              target,
            ],
            { signal },
          );
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

/** This very program as Git's credential helper. */
function helper(): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  return `!${quoted(process.execPath)} ${quoted(process.argv[1] ?? '')} credential`;
}
