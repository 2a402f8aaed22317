import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { CliError } from '../cli-error.ts';
import { type Context, run } from '../context.ts';
import { modelPath, parseModelRef } from '../model-ref.ts';
import { bytes } from '../output.ts';

export function exportation(program: Command): void {
  program
    .command('export')
    .description('save a model’s Git repository as a bundle, which git clones')
    .argument('<model>')
    .argument('[file]', 'where to; by default <model>.bundle')
    .option('--force', 'replace the file')
    .addHelpText(
      'after',
      `
The bundle has the whole history, with a tag for each version. Files that Git LFS stands for are pointers in it:
\`cairn pull\` brings their bytes.

Examples:
  cairn export digits
  GIT_LFS_SKIP_SMUDGE=1 git clone digits.bundle`,
    )
    .action(run(exportVerb));
}

async function exportVerb(
  { client, output, signal, workspace }: Context,
  text: string,
  given: string | undefined,
  options: { readonly force?: boolean },
): Promise<void> {
  const ref = parseModelRef(text, workspace);
  const file = given ?? `${ref.model}.bundle`;
  if (!options.force && (await stat(file).catch(() => undefined))) {
    const fix = 'Name another file, or add --force to replace it.';
    throw new CliError({ code: 'FILE_EXISTS', detail: `${file} is there already.`, fix });
  }
  const partial = `${file}.part`;
  try {
    const answer = await client.stream(`${modelPath(ref)}/repository.bundle`);
    await pipeline(answer, createWriteStream(partial, { flush: true }), { signal });
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
  const { size } = await stat(file);
  output.result({ model: ref.model, file, size }, () =>
    [`Saved ${file} (${bytes(size)}).`, `Next: GIT_LFS_SKIP_SMUDGE=1 git clone ${JSON.stringify(file)}`].join(
      '\n',
    ),
  );
}
