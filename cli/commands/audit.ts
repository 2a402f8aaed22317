import type { Command } from 'commander';
import type { AuditEntry, AuditVerification, Endpoint, List, Model } from '../api.ts';
import { CliError, EXIT, hasCode } from '../cli-error.ts';
import { path } from '../client.ts';
import { type Context, run } from '../context.ts';
import { endpointPath, modelPath, parseModelRef } from '../model-ref.ts';
import { plural, when } from '../output.ts';
import { table } from '../table.ts';
import { wholeNumber } from './option.ts';

const PAGE = 1000;

export function audit(program: Command): void {
  const command = program
    .command('audit')
    .description('show who changed what, when and why, newest first')
    .argument('[name]', 'only this model and the endpoint of this name')
    .option('--limit <n>', 'at most so many', wholeNumber(1), 50)
    .addHelpText(
      'after',
      '\nExamples:\n  cairn audit\n  cairn audit digits --limit 200 --json\n  cairn audit verify',
    )
    .action(run(auditVerb));
  command
    .command('verify')
    .description('recompute every hash chain; fails and names the first record that does not fit')
    .addHelpText(
      'after',
      '\nExits with 1 if a record was changed, removed or moved.\n\nExamples:\n  cairn audit verify',
    )
    .action(run(verify));
}

async function auditVerb(
  context: Context,
  name: string | undefined,
  { limit }: { limit: number },
): Promise<void> {
  const { output } = context;
  const ref = name === undefined ? undefined : parseModelRef(name, context.workspace);
  const workspace = ref?.workspace ?? context.workspace;
  const resources = ref ? await chainsOf(context, ref) : [undefined];
  const items = (
    await Promise.all(resources.map((resource) => events(context, workspace, resource, limit)))
  ).flat();
  items.sort((a, b) => (a.id < b.id ? 1 : -1));
  const list: List<AuditEntry> = { items: items.slice(0, limit) };
  output.result(list, () =>
    list.items.length === 0
      ? 'Nothing has happened here yet.'
      : table(
          ['WHEN', 'WHO', 'ACTION', 'WHAT', 'WHY'],
          list.items.map(({ at, actor, action, subject, reason }) => [
            when(at),
            actor.principal,
            action,
            subject,
            reason,
          ]),
          { cut: ['WHY', 'WHAT', 'WHO', 'ACTION'], drop: ['WHY'] },
        ),
  );
}

async function events(
  { client }: Context,
  workspace: string,
  resource: string | undefined,
  limit: number,
): Promise<AuditEntry[]> {
  const found: AuditEntry[] = [];
  while (found.length < limit) {
    const count = Math.min(PAGE, limit - found.length);
    const { items } = await client.get<List<AuditEntry>>(path`/api/v1/workspaces/${workspace}/audit`, {
      resource,
      limit: count,
      before: found.at(-1)?.id,
    });
    found.push(...items);
    if (items.length < count) break;
  }
  return found;
}

/** The chains of the model and of the endpoint that have this name. */
async function chainsOf(
  { client }: Context,
  { workspace, model }: { workspace: string; model: string },
): Promise<string[]> {
  const missing = (error: unknown) => {
    if (hasCode(error, 'MODEL_NOT_FOUND', 'ENDPOINT_NOT_FOUND', 'INVALID_ARGUMENT')) return undefined;
    throw error;
  };
  const found = await client.get<Model>(modelPath({ workspace, model })).catch(missing);
  const endpoint = await client.get<Endpoint>(endpointPath({ workspace, endpoint: model })).catch(missing);
  const chains = [
    ...(found ? [`model/${found.id}`] : []),
    ...(endpoint ? [`endpoint/${workspace}/${endpoint.name}`] : []),
  ];
  if (chains.length > 0) return chains;
  const fix = 'See everything: `cairn audit`. What was deleted is there too.';
  throw new CliError(
    { code: 'NOT_FOUND', detail: `There is no model and no endpoint "${model}".`, fix },
    EXIT.notFound,
  );
}

async function verify({ client, output, workspace }: Context): Promise<void> {
  const verification = await client.get<AuditVerification>(
    path`/api/v1/workspaces/${workspace}/audit/verification`,
  );
  const { ok, chains, events, problems } = verification;
  if (ok || output.json) {
    output.result(
      verification,
      () => `Every record fits: ${plural(events, 'event')} in ${plural(chains, 'chain')}.`,
    );
  }
  const [first] = problems;
  if (ok || !first) return;
  const more =
    problems.length > 1 ? ` ${plural(problems.length - 1, 'other record')} does not fit either.` : '';
  throw new CliError({
    code: 'AUDIT_BROKEN',
    detail: `The audit trail was changed: record ${first.seq} of ${first.chain}: ${first.problem}.${more}`,
    fix: 'Keep the data as it is, and compare it with a backup.',
  });
}
