import type { Command } from 'commander';
import { usageError } from '../cli-error.ts';
import { run } from '../context.ts';
import {
  endpointPath,
  modelPath,
  parseEndpointRef,
  parseModelRef,
  refText,
  resolveVersion,
  versionPath,
} from '../model-ref.ts';
import { requireConsent } from '../prompt.ts';

interface DeleteOptions {
  readonly yes?: boolean;
  readonly reason?: string;
}

export function deletion(program: Command): void {
  const command = program.command('delete').description('delete a model, a version or an endpoint');
  const verb = (name: string, argument: string, description: string, example: string) =>
    command
      .command(name)
      .description(description)
      .argument(argument)
      .option('-y, --yes', 'ask nothing')
      .option('--reason <text>', 'why, for the audit trail')
      .addHelpText('after', `\nExamples:\n  ${example}`);

  verb('model', '<model>', 'delete a model with all its versions', 'cairn delete model digits-old').action(
    run(async ({ client, output, workspace }, text: string, { yes, reason }: DeleteOptions) => {
      const ref = parseModelRef(text, workspace);
      if (ref.target) throw usageError(`"${text}" is a version.`, `Use \`cairn delete version ${text}\`.`);
      await client.get(modelPath(ref));
      await requireConsent(`Delete the model "${ref.model}" with all its versions?`, yes);
      await client.delete(modelPath(ref), { reason });
      output.result(
        { deleted: { workspace: ref.workspace, model: ref.model } },
        () => `Deleted the model ${ref.model}.`,
      );
    }),
  );

  const exampleOf = 'cairn delete version digits@2 --reason "trained on the wrong data"';
  verb('version', '<model@version>', 'delete a version; its number is not used again', exampleOf).action(
    run(async ({ client, output, workspace }, text: string, { yes, reason }: DeleteOptions) => {
      const ref = parseModelRef(text, workspace);
      if (!ref.target) throw usageError(`"${text}" names no version.`, `Write ${ref.model}@<version>.`);
      const { model, version } = await resolveVersion(client, ref);
      await requireConsent(`Delete ${refText(ref, version)}?`, yes);
      await client.delete(versionPath(ref, version), { reason });
      output.result(
        { deleted: { workspace: ref.workspace, model, version } },
        () => `Deleted ${refText(ref, version)}.`,
      );
    }),
  );

  verb(
    'endpoint',
    '<endpoint>',
    'withdraw an endpoint: nothing answers there any more',
    'cairn delete endpoint digits --yes',
  ).action(
    run(async ({ client, output, workspace }, text: string, { yes, reason }: DeleteOptions) => {
      const ref = parseEndpointRef(text, workspace);
      await client.get(endpointPath(ref));
      await requireConsent(`Delete the endpoint "${ref.endpoint}"? Requests to it will fail.`, yes);
      await client.delete(endpointPath(ref), { reason });
      output.result({ deleted: { ...ref } }, () => `Deleted the endpoint ${ref.endpoint}.`);
    }),
  );
}
