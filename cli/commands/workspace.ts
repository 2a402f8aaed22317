import type { Command } from 'commander';
import type { Workspace } from '../api.ts';
import { run } from '../context.ts';
import { when } from '../output.ts';
import { table } from '../table.ts';

export function workspace(program: Command): void {
  const command = program.command('workspace').description('make and list workspaces');
  command
    .command('create')
    .description('make a workspace')
    .argument('<name>', 'lower-case letters, digits and hyphens')
    .option('--description <text>', 'what it is for')
    .addHelpText('after', '\nExamples:\n  cairn workspace create fraud-team --description "Fraud detection"')
    .action(
      run(async ({ client, output }, name: string, { description }: { description?: string }) => {
        const made = await client.post<Workspace>('/api/v1/workspaces', {
          name,
          ...(description !== undefined && { description }),
        });
        output.result(
          made,
          () => `Made the workspace ${made.name}. Use it: --workspace ${made.name}, or ${made.name}/<model>.`,
        );
      }),
    );
  command
    .command('list')
    .description('list the workspaces')
    .addHelpText('after', '\nExamples:\n  cairn workspace list')
    .action(
      run(async ({ client, output }) => {
        const list = await client.list<Workspace>('/api/v1/workspaces', {}, 10_000);
        output.result(list, () =>
          table(
            ['NAME', 'CREATED', 'CREATED BY', 'DESCRIPTION'],
            list.items.map(({ name, createdAt, createdBy, description }) => [
              name,
              when(createdAt),
              createdBy,
              description || undefined,
            ]),
          ),
        );
      }),
    );
}
