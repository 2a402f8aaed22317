import type { Command } from 'commander';
import type { Version } from '../api.ts';
import { usageError } from '../cli-error.ts';
import { run } from '../context.ts';
import { parseModelRef, refText, resolveVersion, shellWord, versionPath } from '../model-ref.ts';

export function revert(program: Command): void {
  program
    .command('revert')
    .description('make the next version with the bytes of an older one')
    .argument('<model@ref>', 'the one to go back to, for example digits@7')
    .option('-m, --message <text>', 'why')
    .addHelpText(
      'after',
      '\nHistory goes on: nothing is rewritten, and no byte is sent. To move an endpoint back at once, use `cairn rollback`.\n\nExamples:\n  cairn revert digits@7 -m "8 was trained on the wrong data"',
    )
    .action(
      run(async ({ client, output, workspace }, text: string, options: { message?: string }) => {
        const ref = parseModelRef(text, workspace);
        if (!ref.target) throw usageError(`"${text}" names no version.`, `Write ${ref.model}@<version>.`);
        const old = await resolveVersion(client, ref);
        const { message } = options;
        const made = await client.post<Version>(
          `${versionPath(ref, old.version)}/revert`,
          message === undefined ? {} : { message },
        );
        output.result(made, () =>
          [
            `${refText(made, made.version)} has the bytes of ${refText(old, old.version)}.`,
            `Next: cairn deploy ${shellWord(refText(made, made.version))}`,
          ].join('\n'),
        );
      }),
    );
}
