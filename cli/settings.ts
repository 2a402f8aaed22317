import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { CliError, usageError } from './cli-error.ts';

export const DEFAULT_URL = 'http://127.0.0.1:7070';

/** Which server, and as whom. */
export interface Settings {
  readonly url: URL;
  readonly token?: string;
  /** Where each came from, for `cairn doctor`. */
  readonly urlFrom: string;
  readonly tokenFrom?: string;
}

/** What `cairn login` stored: a token is only ever sent to the server that it was stored for. */
export interface StoredLogin {
  readonly format: 1;
  readonly url: string;
  readonly tokens: Readonly<Record<string, string>>;
}

type Env = Readonly<Record<string, string | undefined>>;

/** `$XDG_CONFIG_HOME/cairn/config.json`. */
export const configFile = (env: Env) =>
  join(env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'cairn', 'config.json');

/** Where interrupted uploads are remembered: `$XDG_STATE_HOME/cairn/uploads`. */
export const uploadStateFolder = (env: Env) =>
  join(env.XDG_STATE_HOME || join(homedir(), '.local', 'state'), 'cairn', 'uploads');

/** Options before environment before what `cairn login` stored, which is read only if something is not told. */
export async function readSettings(
  options: { url?: string | undefined; tokenFile?: string | undefined },
  env: Env,
): Promise<Settings> {
  const told = (options.url || env.CAIRN_URL) && (options.tokenFile || env.CAIRN_TOKEN);
  const login = told ? undefined : await readLogin(env);
  const [urlText, urlFrom] = options.url
    ? [options.url, '--url']
    : env.CAIRN_URL
      ? [env.CAIRN_URL, 'CAIRN_URL']
      : login
        ? [login.url, configFile(env)]
        : [DEFAULT_URL, 'default'];
  const url = parseUrl(urlText, urlFrom);
  const stored = login?.tokens[url.href];
  const [token, tokenFrom] = options.tokenFile
    ? [await readTokenFile(options.tokenFile), options.tokenFile]
    : env.CAIRN_TOKEN
      ? [env.CAIRN_TOKEN.trim(), 'CAIRN_TOKEN']
      : [stored, configFile(env)];
  return token === undefined
    ? { url, urlFrom }
    : { url, urlFrom, token: checkToken(token, tokenFrom), tokenFrom };
}

/** A server's address: http or https, without credentials, query or trailing slash's difference. */
export function parseUrl(text: string, from: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw usageError(`"${text}" (${from}) is not an address like ${DEFAULT_URL}.`);
  }
  if (url.username || url.password)
    throw usageError(`The address from ${from} must not hold a password.`, 'Use `cairn login`.');
  url.search = '';
  url.hash = '';
  url.pathname = url.pathname.replace(/\/*$/, '/');
  return url;
}

/** Whether it is on this machine. */
export const isLoopback = ({ hostname }: URL) =>
  hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d+){3}$/.test(hostname);

/** @throws CliError for what cannot stand in a header, without showing it */
export function checkToken(token: string, from: string): string {
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw usageError(`The token from ${from} is not a token: it must look like cairn_….`);
}

async function readTokenFile(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw usageError(`The token file cannot be read: ${(error as Error).message}`);
  }
}

export async function readLogin(env: Env): Promise<StoredLogin | undefined> {
  const file = configFile(env);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new CliError({
      code: 'CONFIG_UNREADABLE',
      detail: `${file} cannot be read: ${(error as Error).message}`,
    });
  }
  const login = parseLogin(text);
  if (login) return login;
  throw new CliError({
    code: 'CONFIG_UNREADABLE',
    detail: `${file} is damaged, or of a newer version of this program.`,
    fix: 'Delete the file, then run `cairn login`.',
  });
}

function parseLogin(text: string): StoredLogin | undefined {
  try {
    const login = JSON.parse(text) as StoredLogin;
    return login.format === 1 && typeof login.url === 'string' && typeof login.tokens === 'object'
      ? login
      : undefined;
  } catch {
    return undefined;
  }
}

export async function writeLogin(env: Env, login: StoredLogin): Promise<void> {
  await writePrivately(configFile(env), login);
}

/** Writes JSON that only this user can read, whole or not at all. */
export async function writePrivately(file: string, value: unknown): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  await writeFile(draft, `${JSON.stringify(value, undefined, 2)}\n`, { mode: 0o600, flush: true });
  await rename(draft, file);
}

/** The permission bits of the stored login, where the system has them. */
export async function configMode(env: Env): Promise<number | undefined> {
  try {
    return process.platform === 'win32' ? undefined : (await stat(configFile(env))).mode & 0o777;
  } catch {
    return undefined;
  }
}
