import type { Command } from 'commander';
import type { Whoami } from '../api.ts';
import { CliError, EXIT, usageError } from '../cli-error.ts';
import { type Client, makeClient } from '../client.ts';
import { type GlobalOptions, run } from '../context.ts';
import { signIn } from '../device-login.ts';
import { readSecret } from '../prompt.ts';
import { checkToken, configFile, isLoopback, parseUrl, readLogin, writeLogin } from '../settings.ts';
import { whoText } from './whoami.ts';

interface LoginOptions {
  readonly token?: string;
  readonly oidc?: boolean;
}

export function login(program: Command): void {
  program
    .command('login')
    .description('verify a token and store it for this user')
    .argument('[url]', 'address of the server')
    .option(
      '--token <-|token>',
      '"-" reads the token from stdin; a token here can be seen by other processes',
    )
    .option('--oidc', 'sign in at the OpenID Connect issuer that the server trusts')
    .addHelpText(
      'after',
      `
The token, Cairn's own or one of the issuer that the server trusts, is asked
for without echo, or read from stdin. It is stored in
${configFile(process.env)}, which only you can read.

Examples:
  cairn login
  cairn login https://cairn.example.com
  cairn login https://cairn.example.com --oidc
  cat token.txt | cairn login https://cairn.example.com --token -`,
    )
    .action(
      run(
        async ({ settings, output, signal, version }, address: string | undefined, options: LoginOptions) => {
          const url = address === undefined ? settings.url : parseUrl(address, 'argument');
          if (url.protocol === 'http:' && !isLoopback(url)) {
            output.note(`Warning: ${url.href} is not https, so the token travels in the clear.`);
          }
          const clientWith = (token?: string) => makeClient({ url, token, version, signal });
          const tokens = options.oidc
            ? await signIn(clientWith(), (line) => void process.stderr.write(`${line}\n`), signal)
            : [await givenToken(url, options)];
          const { token, who } = await firstGood(tokens, clientWith);
          const before = await readLogin(process.env);
          await writeLogin(process.env, {
            format: 1,
            url: url.href,
            tokens: { ...before?.tokens, [url.href]: token },
          });
          output.result({ url: url.href, ...who }, () =>
            [
              `Logged in to ${url.href} as ${whoText(who)}.`,
              'Next: `cairn models`, or `cairn push <path> <model>`.',
            ].join('\n'),
          );
        },
      ),
    );
}

async function givenToken(url: URL, { token }: LoginOptions): Promise<string> {
  const given = token === undefined || token === '-' ? await readSecret(`Token for ${url.href}: `) : token;
  if (given === '')
    throw usageError(
      'No token was given.',
      'An admin makes one: `cairn token create <principal> --role viewer`.',
    );
  return checkToken(given, 'input');
}

/** The first of the tokens that the server takes: an issuer's access token may be for somebody else. */
async function firstGood(
  [token, ...others]: readonly string[],
  clientWith: (token: string) => Client,
): Promise<{ token: string; who: Whoami }> {
  if (token === undefined)
    throw new CliError({ code: 'SIGN_IN_FAILED', detail: 'The issuer gave no token that Cairn can check.' });
  try {
    return { token, who: await clientWith(token).get<Whoami>('/api/v1/whoami') };
  } catch (error) {
    const refused = error instanceof CliError && error.problem.code === 'UNAUTHENTICATED';
    if (!refused || others.length === 0) throw error;
    return firstGood(others, clientWith);
  }
}

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
