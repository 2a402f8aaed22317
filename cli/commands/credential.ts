import type { Command } from 'commander';
import { run } from '../context.ts';
import { readLogin } from '../settings.ts';

export function credential(program: Command): void {
  program
    .command('credential')
    .description('answer Git’s question for a password: a Git credential helper')
    .argument('<get|store|erase>', 'what Git asks for')
    .addHelpText(
      'after',
      `
Git is given the token that \`cairn login\` stored for the server that it talks to, or CAIRN_TOKEN for CAIRN_URL,
and for no other. \`cairn clone\` sets this up for one repository.

Examples:
  git config --global credential.helper "!cairn credential"`,
    )
    .action(
      run(async ({ settings, output }, operation: string) => {
        // What Git learned from elsewhere is not ours to keep or forget.
        if (operation !== 'get') return;
        const asked = await readAttributes();
        const origin = `${asked.get('protocol')}://${asked.get('host')}`;
        const token = origin === settings.url.origin ? settings.token : await storedFor(origin);
        if (token !== undefined) output.line(`username=cairn\npassword=${token}`);
      }),
    );
}

/** The token that was stored for a server at that origin. */
async function storedFor(origin: string): Promise<string | undefined> {
  const tokens = (await readLogin(process.env))?.tokens ?? {};
  return Object.entries(tokens).find(([url]) => new URL(url).origin === origin)?.[1];
}

/** `key=value` lines up to an empty one or the end. */
async function readAttributes(): Promise<Map<string, string>> {
  let text = '';
  for await (const chunk of process.stdin) text += chunk;
  const lines = text.split('\n');
  const end = lines.indexOf('');
  return new Map(
    lines.slice(0, end < 0 ? undefined : end).map((line): [string, string] => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
}
