import type { Command } from 'commander';
import type { Alias, Model, Version } from '../api.ts';
import { path } from '../client.ts';
import { run } from '../context.ts';
import { modelPath, parseModelRef } from '../model-ref.ts';
import { bytes, pairsText, plural, when } from '../output.ts';
import { table } from '../table.ts';
import { wholeNumber } from './option.ts';

const LIMIT = 1000;

export function models(program: Command): void {
  program
    .command('models')
    .description('list the models')
    .argument('[prefix]', 'only names that begin with this')
    .option('--limit <n>', 'at most so many', wholeNumber(1), LIMIT)
    .addHelpText('after', '\nExamples:\n  cairn models\n  cairn models fraud- --json')
    .action(
      run(async ({ client, output, workspace }, prefix: string | undefined, { limit }: { limit: number }) => {
        const list = await client.list<Model>(
          path`/api/v1/workspaces/${workspace}/models`,
          { prefix },
          limit,
        );
        output.result(list, () =>
          list.items.length === 0
            ? `No models${prefix ? ` that begin with "${prefix}"` : ''} in workspace "${workspace}" yet. Push one: \`cairn push <path> <model>\`.`
            : table(
                ['NAME', 'UPDATED', 'CREATED BY', 'TAGS', 'DESCRIPTION'],
                list.items.map(({ name, description, tags, updatedAt, createdBy }) => [
                  name,
                  when(updatedAt),
                  createdBy,
                  pairsText(tags) || undefined,
                  description || undefined,
                ]),
                { cut: ['TAGS', 'DESCRIPTION'], drop: ['CREATED BY', 'TAGS', 'UPDATED'] },
              ),
        );
        if (list.nextCursor !== undefined) output.note(`There are more: --limit ${limit * 10}, or a prefix.`);
      }),
    );
}

export function versions(program: Command): void {
  program
    .command('versions')
    .description('list a model’s versions, newest first')
    .argument('<model>')
    .option('--limit <n>', 'at most so many', wholeNumber(1), 100)
    .addHelpText('after', '\nExamples:\n  cairn versions digits\n  cairn versions digits --limit 5 --json')
    .action(
      run(async ({ client, output, workspace }, name: string, { limit }: { limit: number }) => {
        const ref = parseModelRef(name, workspace);
        const list = await client.list<Version>(`${modelPath(ref)}/versions`, {}, limit);
        const aliases = output.json
          ? []
          : (await client.list<Alias>(`${modelPath(ref)}/aliases`, {}, LIMIT)).items;
        const named = (version: number) =>
          aliases.filter((alias) => alias.version === version).map(({ alias }) => alias);
        output.result(list, () =>
          list.items.length === 0
            ? `No versions of "${ref.model}" yet. Push one: \`cairn push <path> ${ref.model}\`.`
            : table(
                [
                  'VERSION',
                  'ALIASES',
                  'STATUS',
                  'APPROVAL',
                  'FORMAT',
                  'SIZE',
                  'AUTHOR',
                  'CREATED',
                  'MESSAGE',
                ],
                list.items.map((version) => [
                  version.version,
                  named(version.version).join(', ') || undefined,
                  version.status,
                  version.approval.state,
                  version.reference === undefined ? (version.format ?? version.framework) : 'reference',
                  bytes(version.size),
                  version.author,
                  when(version.createdAt),
                  version.message || undefined,
                ]),
                {
                  cut: ['ALIASES', 'MESSAGE'],
                  drop: ['AUTHOR', 'SIZE', 'APPROVAL', 'FORMAT', 'CREATED'],
                },
              ),
        );
        if (list.nextCursor !== undefined)
          output.note(`These are the newest ${plural(limit, 'version')}; --limit shows more.`);
      }),
    );
}
