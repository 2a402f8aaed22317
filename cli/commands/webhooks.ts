import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import type { Webhook, WebhookDelivery, WebhookTest } from '../api.ts';
import { CliError, EXIT, usageError } from '../cli-error.ts';
import { path } from '../client.ts';
import { type Context, run } from '../context.ts';
import { fields, plain, plural, when } from '../output.ts';
import { requireConsent } from '../prompt.ts';
import { table } from '../table.ts';
import { repeated } from './option.ts';

/** A workspace has no more than 100. */
const ALL = 1000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function webhooks(program: Command): void {
  const command = program
    .command('webhooks')
    .description('have addresses told what happens')
    .addHelpText(
      'after',
      '\nExamples:\n  cairn webhooks create pager https://hooks.example.com/cairn --event endpoint.rolled-back\n  cairn webhooks show pager',
    );
  list(command);
  create(command);
  show(command);
  update(command);
  test(command);
  remove(command);
}

/** The webhook of this id or, where it is the only one, of this name. */
async function find({ client, workspace }: Context, wanted: string): Promise<Webhook> {
  if (UUID.test(wanted)) return client.get(path`/api/v1/workspaces/${workspace}/webhooks/${wanted}`);
  const { items } = await client.list<Webhook>(path`/api/v1/workspaces/${workspace}/webhooks`, {}, ALL);
  const [found, ...others] = items.filter(({ name }) => name === wanted);
  if (!found) {
    const fix = 'List them: `cairn webhooks list`.';
    const problem = { code: 'WEBHOOK_NOT_FOUND', detail: `There is no webhook "${wanted}".`, fix };
    throw new CliError(problem, EXIT.notFound);
  }
  if (others.length > 0)
    throw usageError(`${others.length + 1} webhooks are named "${wanted}".`, 'Use the id.');
  return found;
}

const pathOf = ({ workspace, id }: Webhook) => path`/api/v1/workspaces/${workspace}/webhooks/${id}`;

function list(command: Command): void {
  command
    .command('list')
    .description('list the webhooks, also those that MLflow’s clients made')
    .addHelpText('after', '\nExamples:\n  cairn webhooks list\n  cairn webhooks list --json')
    .action(
      run(async ({ client, output, workspace }) => {
        const found = await client.list<Webhook>(path`/api/v1/workspaces/${workspace}/webhooks`, {}, ALL);

        output.result(found, () =>
          found.items.length === 0
            ? `No webhooks in workspace "${workspace}" yet. Make one: \`cairn webhooks create <name> <url> --event <name>\`.`
            : table(
                ['ID', 'NAME', 'STATUS', 'URL', 'EVENTS'],
                found.items.map(({ id, name, status, url, events }) => [
                  id,
                  name,
                  status,
                  url,
                  events.join(', '),
                ]),
                { cut: ['EVENTS', 'URL'], drop: ['EVENTS', 'URL'] },
              ),
        );
      }),
    );
}

interface CreateOptions {
  readonly event: string[];
  readonly description?: string;
  readonly paused?: boolean;
}

function create(command: Command): void {
  command
    .command('create')
    .description('have an address told what happens; the secret that signs it is shown once')
    .argument('<name>', 'what to call it')
    .argument('<url>', 'a public https address')
    .requiredOption(
      '--event <name>',
      'what it is told of, as `cairn events` names it; may be repeated',
      repeated,
    )
    .option('--description <text>', 'what it is for')
    .option('--paused', 'tell it nothing yet')
    .addHelpText(
      'after',
      `
The secret alone goes to stdout, so that it can be kept without being seen.

Examples:
  cairn webhooks create pager https://hooks.example.com/cairn --event endpoint.rolled-back > secret.txt
  cairn webhooks create ci https://ci.example.com/cairn --event version.created --event alias.moved`,
    )
    .action(
      run(async ({ client, output, workspace }, name: string, url: string, options: CreateOptions) => {
        const body = {
          name,
          url,
          events: options.event,
          ...(options.description !== undefined && { description: options.description }),
          ...(options.paused && { status: 'DISABLED' }),
        };
        // The answer is a secret that the server does not keep to answer a repeat.
        const { body: made } = await client.call<Webhook & { secret: string }>({
          method: 'POST',
          path: path`/api/v1/workspaces/${workspace}/webhooks`,
          body,
          idempotencyKey: null,
        });
        output.note(`Webhook ${made.id} is told of ${made.events.join(', ')}. Its secret is shown once:`);
        output.result(made, () => made.secret);
      }),
    );
}

function show(command: Command): void {
  command
    .command('show')
    .description('show a webhook and how its newest deliveries went')
    .argument('<webhook>', 'id or name')
    .addHelpText('after', '\nExamples:\n  cairn webhooks show pager\n  cairn webhooks show pager --json')
    .action(
      run(async (context, wanted: string) => {
        const webhook = await find(context, wanted);
        const { items: deliveries } = await context.client.get<{ items: readonly WebhookDelivery[] }>(
          `${pathOf(webhook)}/deliveries`,
        );
        context.output.result({ ...webhook, deliveries }, () => webhookText(webhook, deliveries));
      }),
    );
}

const webhookText = (webhook: Webhook, deliveries: readonly WebhookDelivery[]) =>
  [
    fields([
      ['Id', webhook.id],
      ['Name', webhook.name],
      ['Description', webhook.description],
      ['URL', webhook.url],
      ['Events', webhook.events.join(', ')],
      ['Status', webhook.status],
      ['Signed', webhook.signed ? 'yes' : 'no'],
      ['Created', when(webhook.createdAt)],
      ['Changed', when(webhook.updatedAt)],
    ]),
    '',
    deliveries.length === 0
      ? 'Nothing was delivered yet.'
      : table(
          ['TRIED', 'EVENT', 'STATE', 'ATTEMPTS', 'AGAIN', 'WHY'],
          deliveries.map(({ lastAttemptAt, event, state, attempts, nextAttemptAt, why }) => [
            when(lastAttemptAt),
            event,
            state,
            attempts,
            when(nextAttemptAt),
            why,
          ]),
          { cut: ['WHY'], drop: ['AGAIN', 'ATTEMPTS'] },
        ),
  ].join('\n');

interface UpdateOptions {
  readonly name?: string;
  readonly url?: string;
  readonly event?: string[];
  readonly description?: string;
  readonly pause?: boolean;
  readonly resume?: boolean;
  readonly newSecret?: boolean;
  readonly reason?: string;
}

function update(command: Command): void {
  command
    .command('update')
    .description('change a webhook, pause it, or give it a new secret')
    .argument('<webhook>', 'id or name')
    .option('--name <name>', 'another name')
    .option('--url <url>', 'another address')
    .option('--event <name>', 'what it is told of, instead of what it was; may be repeated', repeated)
    .option('--description <text>', 'what it is for')
    .option('--pause', 'tell it nothing until --resume; what happens meanwhile is not told later')
    .option('--resume', 'tell it again')
    .option('--new-secret', 'make another secret, which alone goes to stdout; the old one ends at once')
    .option('--reason <text>', 'why; kept in the audit trail')
    .addHelpText(
      'after',
      '\nExamples:\n  cairn webhooks update pager --pause --reason "the receiver moves"\n  cairn webhooks update pager --new-secret > secret.txt',
    )
    .action(
      run(async (context, wanted: string, options: UpdateOptions) => {
        const { event: events, pause, resume, newSecret, ...named } = options;
        if (pause && resume) throw usageError('--pause and --resume cannot stand together.');
        const secret = newSecret ? `whsec_${randomBytes(32).toString('base64')}` : undefined;
        const { name, url, description, reason } = named;
        const status = pause ? 'DISABLED' : resume ? 'ACTIVE' : undefined;
        const changes = { name, url, events, description, status, secret };
        if (Object.values(changes).every((value) => value === undefined))
          throw usageError('There is nothing to change.', 'See `cairn webhooks update --help`.');
        const webhook = await find(context, wanted);
        const { body: now } = await context.client.call<Webhook>({
          method: 'PATCH',
          path: pathOf(webhook),
          body: { ...changes, reason },
        });
        const told = `Webhook ${plain(now.name)} is ${now.status} and told of ${now.events.join(', ')}.`;
        if (secret === undefined) return context.output.result(now, () => told);
        context.output.note(`${told} Its new secret is shown once:`);
        context.output.result({ ...now, secret }, () => secret);
      }),
    );
}

function test(command: Command): void {
  command
    .command('test')
    .description('post a test to a webhook now; exits with 1 if it is not taken')
    .argument('<webhook>', 'id or name')
    .addHelpText('after', '\nExamples:\n  cairn webhooks test pager')
    .action(
      run(async (context, wanted: string) => {
        const webhook = await find(context, wanted);
        const { body: result } = await context.client.call<WebhookTest>({
          method: 'POST',
          path: `${pathOf(webhook)}/test`,
          idempotencyKey: null,
        });
        const { delivered, status, error } = result;
        const answer = status === undefined ? `There is no answer: ${error}.` : `It answered ${status}.`;
        context.output.result(result, () => plain(answer));
        if (!delivered) process.exitCode = EXIT.failed;
      }),
    );
}

function remove(command: Command): void {
  command
    .command('delete')
    .description('delete webhooks')
    .argument('<webhook...>', 'ids or names')
    .option('--reason <text>', 'why; kept in the audit trail')
    .option('-y, --yes', 'ask nothing')
    .addHelpText('after', '\nExamples:\n  cairn webhooks delete pager --yes')
    .action(
      run(async (context, wanted: string[], { reason, yes }: { reason?: string; yes?: boolean }) => {
        const named = await Promise.all(wanted.map((one) => find(context, one)));
        const found = [...new Map(named.map((webhook) => [webhook.id, webhook])).values()];
        await requireConsent(`Delete ${found.map(({ name, id }) => `${name} (${id})`).join(', ')}?`, yes);
        for (const webhook of found)
          await context.client.delete(pathOf(webhook), reason === undefined ? {} : { reason });
        const deleted = found.map(({ id }) => id);
        context.output.result({ deleted }, () => `Deleted ${plural(deleted.length, 'webhook')}.`);
      }),
    );
}
