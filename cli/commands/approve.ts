import type { Command } from 'commander';
import type { Version } from '../api.ts';
import { run } from '../context.ts';
import { parseModelRef, resolveVersion, versionPath } from '../model-ref.ts';

export function approve(program: Command): void {
  program
    .command('approve')
    .description('approve or reject a version that someone else made')
    .argument('<model@ref>')
    .option('--reject', 'reject it')
    .option('--comment <text>', 'why, for the audit trail')
    .addHelpText(
      'after',
      '\nExamples:\n  cairn approve digits@3 --comment "reviewed the holdout"\n  cairn approve digits@4 --reject --comment "biased"',
    )
    .action(
      run(
        async (
          { client, output, workspace },
          text: string,
          options: { reject?: boolean; comment?: string },
        ) => {
          const ref = parseModelRef(text, workspace);
          const { version } = await resolveVersion(client, ref);
          const decided = await client.post<Version>(`${versionPath(ref, version)}/approval`, {
            state: options.reject ? 'REJECTED' : 'APPROVED',
            ...(options.comment !== undefined && { comment: options.comment }),
          });
          output.result(
            decided,
            () => `${decided.model} version ${decided.version} is ${decided.approval.state}.`,
          );
        },
      ),
    );
}
