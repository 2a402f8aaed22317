import type { Command } from 'commander';
import type { Whoami } from '../api.ts';
import { run } from '../context.ts';
import { when } from '../output.ts';
import { grantText } from './token.ts';

/** Who it is, who says so, what they may, and until when. */
export function whoText({ principal, issuer, grants, expiresAt }: Whoami): string {
  const by = issuer === undefined ? '' : `, by ${issuer}`;
  const until = expiresAt === undefined ? '' : `, until ${when(expiresAt)}`;
  return `${principal}${by} (${grants.map(grantText).join('; ') || 'no grants'})${until}`;
}

export function whoami(program: Command): void {
  program
    .command('whoami')
    .description('tell whom the token stands for, and what it may')
    .addHelpText('after', '\nExamples:\n  cairn whoami\n  cairn whoami --json')
    .action(
      run(async ({ client, output }) => {
        const who = await client.get<Whoami>('/api/v1/whoami');
        output.result(who, () => whoText(who));
      }),
    );
}
