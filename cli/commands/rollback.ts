import type { Command } from 'commander';
import type { Endpoint } from '../api.ts';
import { type Context, onInterrupt, run } from '../context.ts';
import { endpointPath, parseEndpointRef } from '../model-ref.ts';
import { watch } from '../rollout.ts';
import { wholeNumber } from './option.ts';

interface RollbackOptions {
  readonly reason?: string;
  readonly wait: boolean;
  readonly timeout?: number;
}

export function rollback(program: Command): void {
  program
    .command('rollback')
    .description('send an endpoint back to its last good revision')
    .argument('<endpoint>')
    .option('--reason <text>', 'why, for the audit trail')
    .option('--no-wait', 'do not wait until the traffic has moved')
    .option('--timeout <seconds>', 'wait no longer', wholeNumber(1))
    .addHelpText(
      'after',
      `
The version it comes from is not tried again until the spec or its alias changes.

Examples:
  cairn rollback digits --reason "wrong answers for sevens"`,
    )
    .action(run(rollbackVerb));
}

async function rollbackVerb(context: Context, name: string, options: RollbackOptions): Promise<void> {
  const { client, output } = context;
  const ref = parseEndpointRef(name, context.workspace);
  const address = endpointPath(ref);
  const before = await client.get<Endpoint>(address);
  await client.post(`${address}/rollback`, options.reason === undefined ? {} : { reason: options.reason });
  if (!options.wait) {
    const asked = await client.get<Endpoint>(address);
    return output.result(asked, () => `${ref.endpoint} goes back. Next: cairn status ${ref.endpoint}`);
  }
  onInterrupt(`The rollback goes on: \`cairn status ${ref.endpoint}\` tells how far it is.`);
  const { endpoint } = await watch(context, ref, options, ({ status }) =>
    status.phase === 'idle' &&
    status.lastRollback !== undefined &&
    status.lastRollback.at !== before.status.lastRollback?.at
      ? true
      : undefined,
  );
  const { lastRollback } = endpoint.status;
  output.result(endpoint, () =>
    [
      `${ref.endpoint} went back from version ${lastRollback?.from.version} to version ${lastRollback?.to.version}.`,
      `Next: cairn logs ${ref.endpoint} --revision ${lastRollback?.from.revision}`,
    ].join('\n'),
  );
}
