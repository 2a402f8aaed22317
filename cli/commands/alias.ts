import type { Command } from 'commander';
import type { Alias, AliasAnswer, AliasMove } from '../api.ts';
import { usageError } from '../cli-error.ts';
import { path } from '../client.ts';
import { type Context, run } from '../context.ts';
import { modelPath, parseModelRef, parseTarget, refuseNumberAlias, resolveVersion } from '../model-ref.ts';
import { when } from '../output.ts';
import { table } from '../table.ts';

interface AliasOptions {
  readonly delete?: boolean;
  readonly history?: boolean;
  readonly expect?: string;
  readonly reason?: string;
}

export function alias(program: Command): void {
  program
    .command('alias')
    .description('show, move or delete an alias, or show its history')
    .argument('<model>')
    .argument('<alias>', 'for example champion')
    .argument('[version]', 'where to point it: a version, or another alias')
    .option('--delete', 'delete the alias; its history stays')
    .option('--history', 'show every move')
    .option('--expect <version|none>', 'only if it points there now: compare-and-swap')
    .option('--reason <text>', 'why, for the audit trail')
    .addHelpText(
      'after',
      `
Examples:
  cairn alias digits champion
  cairn alias digits champion 3 --expect 2 --reason "better on the holdout"
  cairn alias digits champion --history
  cairn alias digits challenger --delete`,
    )
    .action(run(aliasVerb));
}

async function aliasVerb(
  context: Context,
  name: string,
  aliasName: string,
  to: string | undefined,
  options: AliasOptions,
): Promise<void> {
  const { client, output } = context;
  const ref = parseModelRef(name, context.workspace);
  refuseNumberAlias(aliasName);
  if ([to !== undefined, options.delete, options.history].filter(Boolean).length > 1) {
    throw usageError('A version, --delete and --history exclude one another.');
  }
  const address = modelPath(ref) + path`/aliases/${aliasName}`;
  const expectedVersion = parseExpect(options.expect);
  const { reason } = options;
  if (options.history) {
    const list = await client.list<AliasMove>(`${address}/history`, {}, 1000);
    return output.result(list, () =>
      table(
        ['MOVE', 'FROM', 'TO', 'AT', 'BY', 'REASON'],
        list.items.map(({ seq, from, to, at, by, reason }) => [
          seq,
          from ?? undefined,
          to ?? 'deleted',
          when(at),
          by,
          reason,
        ]),
        { cut: ['REASON'] },
      ),
    );
  }
  if (options.delete) {
    await client.delete(address, { expectedVersion: expectedVersion ?? undefined, reason });
    return output.result(
      { alias: aliasName, deleted: true },
      () => `Deleted the alias ${aliasName} of ${ref.model}.`,
    );
  }
  if (to === undefined) {
    const found = await client.get<AliasAnswer>(address);
    return output.result(
      found,
      () => `${found.alias} → version ${found.version} (${when(found.movedAt)}, by ${found.movedBy})`,
    );
  }
  const { version } = await resolveVersion(client, { ...ref, target: parseTarget(to) });
  const body = {
    version,
    ...(expectedVersion !== undefined && { expectedVersion }),
    ...(reason !== undefined && { reason }),
  };
  const moved = await client.put<Alias>(address, body);
  output.result(moved, () => `${moved.alias} → version ${moved.version}`);
}

function parseExpect(text: string | undefined): number | null | undefined {
  if (text === undefined) return undefined;
  if (text === 'none') return null;
  const target = parseTarget(text);
  if ('version' in target) return target.version;
  throw usageError(`--expect takes a version or "none", not "${text}".`);
}
