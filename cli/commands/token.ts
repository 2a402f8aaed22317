import type { Command } from 'commander';
import type { Grant } from '../../shared/access/grant.ts';
import { readGrant } from '../../shared/access/grant-text.ts';
import { ROLES } from '../../shared/access/role.ts';
import type { Token } from '../api.ts';
import { usageError } from '../cli-error.ts';
import { path } from '../client.ts';
import { run } from '../context.ts';
import { plural, when } from '../output.ts';
import { requireConsent } from '../prompt.ts';
import { table } from '../table.ts';
import { repeated } from './option.ts';

interface CreateOptions {
  readonly role?: string;
  readonly models: string;
  readonly allWorkspaces?: boolean;
  readonly grant?: string[];
  readonly expires?: string;
  readonly description?: string;
}

export const grantText = ({ role, workspace, models }: Grant) =>
  `${role} on ${workspace === '*' ? 'all workspaces' : workspace}${models === '*' ? '' : `, names ${models}`}`;

export function token(program: Command): void {
  const command = program.command('token').description('make, list and revoke tokens');
  create(command);
  list(command);
  revoke(command);
}

function create(command: Command): void {
  command
    .command('create')
    .description('make a token; it is shown once')
    .argument('<principal>', 'who it stands for, for example ada or ci-training')
    .option('--role <role>', ROLES.join(', '))
    .option('--models <pattern>', 'only models and endpoints whose name fits; "*" stands for anything', '*')
    .option('--all-workspaces', 'in every workspace, not only this one')
    .option('--grant <role@workspace/pattern>', 'a grant of its own; may be repeated', repeated)
    .option('--expires <when>', 'for example 12h, 30d or 2030-01-31')
    .option('--description <text>', 'what it is for')
    .addHelpText(
      'after',
      `
The token alone goes to stdout, so that it can be kept without being seen.

Examples:
  cairn token create ada --role deployer --expires 90d
  cairn token create ci --grant "contributor@default/fraud-*" --grant "viewer@default/*" > token.txt`,
    )
    .action(
      run(async ({ client, output, workspace }, principal: string, options: CreateOptions) => {
        const body = {
          principal,
          grants: grantsOf(options, workspace),
          ...(options.expires !== undefined && { expiresAt: expiryOf(options.expires, Date.now()) }),
          ...(options.description !== undefined && { description: options.description }),
        };
        // The answer is a secret that the server does not keep to answer a repeat.
        const call = { method: 'POST', path: '/api/v1/tokens', body, idempotencyKey: null } as const;
        const { body: made } = await client.call<Token & { token: string }>(call);
        output.note(
          `Token ${made.id} for ${made.principal} (${made.grants.map(grantText).join('; ')}). It is shown once:`,
        );
        output.result(made, () => made.token);
      }),
    );
}

function grantsOf({ role, models, allWorkspaces, grant = [] }: CreateOptions, workspace: string): Grant[] {
  const main = role === undefined ? [] : [parseGrant(`${role}@${allWorkspaces ? '*' : workspace}/${models}`)];
  const grants = [...main, ...grant.map(parseGrant)];
  if (grants.length > 0) return grants;
  throw usageError('A token needs a role.', `Add --role with one of ${ROLES.join(', ')}.`);
}

/** `role@workspace/pattern`, `role@workspace`. */
export function parseGrant(text: string): Grant {
  const grant = readGrant(text);
  if (typeof grant !== 'string') return grant;
  const example = 'Write role@workspace/pattern, for example "viewer@default/*"';
  throw usageError(grant, `${example}, with one of the roles ${ROLES.join(', ')}.`);
}

const UNITS = { h: 3600_000, d: 24 * 3600_000, w: 7 * 24 * 3600_000 };

/** A moment in RFC 3339, from a span or a date. */
export function expiryOf(text: string, now: number): string {
  const [, count, unit] = /^(\d{1,5})([hdw])$/.exec(text) ?? [];
  const at = count === undefined ? Date.parse(text) : now + Number(count) * UNITS[unit as keyof typeof UNITS];
  if (Number.isNaN(at))
    throw usageError(`"${text}" is not a time.`, 'Write 12h, 30d, 4w or a date like 2030-01-31.');
  if (at <= now) throw usageError(`"${text}" is in the past.`);
  return new Date(at).toISOString();
}

function list(command: Command): void {
  command
    .command('list')
    .description('list the tokens, without their secrets')
    .addHelpText('after', '\nExamples:\n  cairn token list\n  cairn token list --json')
    .action(
      run(async ({ client, output }) => {
        const tokens = await client.list<Token>('/api/v1/tokens', {}, 10_000);
        output.result(tokens, () =>
          table(
            ['ID', 'PRINCIPAL', 'GRANTS', 'CREATED', 'EXPIRES', 'DESCRIPTION'],
            tokens.items.map(({ id, principal, grants, createdAt, expiresAt, revokedAt, description }) => [
              id,
              principal,
              grants.map(grantText).join('; '),
              when(createdAt),
              revokedAt ? 'revoked' : (when(expiresAt) ?? 'never'),
              description || undefined,
            ]),
            { cut: ['GRANTS', 'DESCRIPTION'], drop: ['CREATED', 'DESCRIPTION'] },
          ),
        );
      }),
    );
}

function revoke(command: Command): void {
  command
    .command('revoke')
    .description('end tokens at once')
    .argument('<id...>')
    .option('-y, --yes', 'ask nothing')
    .addHelpText('after', '\nExamples:\n  cairn token revoke 4k2j9x0a8s7d6f5g --yes')
    .action(
      run(async ({ client, output }, ids: string[], { yes }: { yes?: boolean }) => {
        await requireConsent(`Revoke ${ids.join(', ')}?`, yes);
        for (const id of ids) await client.delete(path`/api/v1/tokens/${id}`);
        output.result({ revoked: ids }, () => `Revoked ${plural(ids.length, 'token')}.`);
      }),
    );
}
