import type { Command } from 'commander';
import type { Artifact } from '../api.ts';
import { CliError, EXIT } from '../cli-error.ts';
import { type Context, onInterrupt, run } from '../context.ts';
import { parseModelRef, resolveVersion, versionPath } from '../model-ref.ts';
import { bytes, plural } from '../output.ts';
import { startProgress } from '../progress.ts';

interface PullOptions {
  readonly file?: string;
  readonly force?: boolean;
}

export function pull(program: Command): void {
  program
    .command('pull')
    .description('download a version’s files')
    .argument('<model@ref>', 'for example digits@3, digits@champion, or digits for the newest version')
    .argument('[folder]', 'where to; by default <model>-v<version>')
    .option('--file <path>', 'only this file')
    .option('--force', 'replace files that are there and differ')
    .addHelpText(
      'after',
      `
Every file's SHA-256 is verified before it appears under its name. What is there already is not fetched again,
and an interrupted pull goes on where it stopped.

Examples:
  cairn pull digits@champion
  cairn pull digits@3 ./model --force
  cairn pull digits@3 . --file model.onnx`,
    )
    .action(run(pullVerb));
}

async function pullVerb(
  context: Context,
  text: string,
  given: string | undefined,
  options: PullOptions,
): Promise<void> {
  const { client, output, signal } = context;
  const ref = parseModelRef(text, context.workspace);
  const version = await resolveVersion(client, ref);
  if (version.reference !== undefined) {
    throw new CliError({
      code: 'VERSION_WITHOUT_BYTES',
      detail: `Version ${version.version} is a reference to ${version.reference}; Cairn does not have its files.`,
    });
  }
  const address = versionPath(ref, version.version);
  const files = wanted(
    (await client.list<Artifact>(`${address}/files`, {}, Number.MAX_SAFE_INTEGER)).items,
    options.file,
  );
  const folder = given ?? `${ref.model}-v${version.version}`;
  const size = files.reduce((sum, file) => sum + file.size, 0);
  onInterrupt('Run the same command again to go on where it stopped.');
  const progress = startProgress(output, 'Receiving', size);
  const { download } = await import('../transfer/download.ts');
  const { fetched, present } = await download({
    client,
    version: address,
    files,
    folder,
    force: options.force ?? false,
    progress,
    signal,
  }).finally(progress.end);
  const { workspace, model } = version;
  output.result({ workspace, model, version: version.version, folder, files, fetched, present }, () => {
    const there = present > 0 ? ` ${plural(present, 'file')} had been there already.` : '';
    return `Pulled ${model} version ${version.version} into ${folder} (${plural(files.length, 'file')}, ${bytes(size)}).${there}`;
  });
}

function wanted(files: readonly Artifact[], path: string | undefined): readonly Artifact[] {
  if (path === undefined) return files;
  const found = files.filter((file) => file.path === path);
  if (found.length > 0) return found;
  throw new CliError(
    {
      code: 'FILE_NOT_FOUND',
      detail: `The version has no file "${path}".`,
      fix: 'List the files: `cairn show <model>@<version>`.',
    },
    EXIT.notFound,
  );
}
