import type { Command } from 'commander';
import type { Whoami } from '../api.ts';
import { CliError, EXIT, usageError } from '../cli-error.ts';
import { makeClient } from '../client.ts';
import { type GlobalOptions, run } from '../context.ts';
import { readSecret } from '../prompt.ts';
import { checkToken, configFile, parseUrl, readLogin, writeLogin } from '../settings.ts';
import { grantText } from './token.ts';

export function login(program: Command): void {
  program
    .command('login')
    .description('verify a token and store it for this user')
    .argument('[url]', 'address of the server')
    .option(
      '--token <-|token>',
      '"-" reads the token from stdin; a token here can be seen by other processes',
    )
    .addHelpText(
      'after',
      `
The token is asked for without echo, or read from stdin. It is stored in
${configFile(process.env)}, which only you can read.

Examples:
  cairn login
  cairn login https://cairn.example.com
  cat token.txt | cairn login https://cairn.example.com --token -`,
    )
    .action(
      run(
        async (
          { settings, output, signal, version },
          address: string | undefined,
          options: { token?: string },
        ) => {
          const url = address === undefined ? settings.url : parseUrl(address, 'argument');
          const given =
            options.token === undefined || options.token === '-'
              ? await readSecret(`Token for ${url.href}: `)
              : options.token;
          if (given === '')
            throw usageError(
              'No token was given.',
              'An admin makes one: `cairn token create <principal> --role viewer`.',
            );
          const token = checkToken(given, 'input');
          if (url.protocol === 'http:' && !isLoopback(url)) {
            output.note(`Warning: ${url.href} is not https, so the token travels in the clear.`);
          }
          const who = await makeClient({ url, token, version, signal }).get<Whoami>('/api/v1/whoami');
          const before = await readLogin(process.env);
          await writeLogin(process.env, {
            format: 1,
            url: url.href,
            tokens: { ...before?.tokens, [url.href]: token },
          });
          output.result({ url: url.href, ...who }, () =>
            [
              `Logged in to ${url.href} as ${who.principal} (${who.grants.map(grantText).join('; ')}).`,
              'Next: `cairn models`, or `cairn push <path> <model>`.',
            ].join('\n'),
          );
        },
      ),
    );
}

const isLoopback = ({ hostname }: URL) =>
  hostname === 'localhost' || hostname === '[::1]' || hostname.startsWith('127.');

export function logout(program: Command): void {
  program
    .command('logout')
    .description('forget the stored token')
    .option('--all', 'forget the tokens of all servers')
    .addHelpText(
      'after',
      '\nThe token stays valid: `cairn token revoke` ends it.\n\nExamples:\n  cairn logout',
    )
    .action(
      run(async ({ settings, output }, options: { all?: boolean } & GlobalOptions) => {
        const login = await readLogin(process.env);
        const { href } = settings.url;
        if (!login || (!options.all && login.tokens[href] === undefined)) {
          throw new CliError(
            { code: 'NOT_LOGGED_IN', detail: `No token is stored for ${href}.` },
            EXIT.notFound,
          );
        }
        const { [href]: _, ...others } = login.tokens;
        await writeLogin(process.env, { ...login, tokens: options.all ? {} : others });
        output.result(
          { url: href, loggedOut: true },
          () => `Forgot the token for ${options.all ? 'all servers' : href}.`,
        );
      }),
    );
}
