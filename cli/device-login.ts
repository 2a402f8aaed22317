import { CliError, usageError } from './cli-error.ts';
import type { Client } from './client.ts';
import { pause, readText, send } from './http.ts';
import { plain } from './output.ts';
import { isLoopback } from './settings.ts';

/** What a server says of the issuer that it trusts (RFC 9728). */
interface ResourceMetadata {
  readonly authorization_servers: readonly string[];
  /** What the issuer wants to be told of this command: `client_id`, and `scope` or `resource` as it needs them. */
  readonly cairn_login?: Readonly<Record<string, string>>;
}

/** OpenID Connect Discovery 1.0, section 3; RFC 8628, section 4. */
interface IssuerMetadata {
  readonly issuer?: string;
  readonly token_endpoint?: string;
  readonly device_authorization_endpoint?: string;
}

/** RFC 8628, section 3.2. */
interface DeviceCode {
  readonly device_code: string;
  readonly user_code: string;
  readonly verification_uri: string;
  readonly verification_uri_complete?: string;
  readonly expires_in: number;
  readonly interval?: number;
}

/** RFC 6749, sections 5.1 and 5.2. */
interface TokenAnswer {
  readonly access_token?: string;
  readonly id_token?: string;
  readonly error?: string;
  readonly error_description?: string;
}

const ANSWER_MAX = 256 * 1024;

/**
 * Has a person sign in at the issuer that the server trusts, in a browser on whatever machine (RFC 8628).
 * @param tell gets what the person has to do
 * @returns the tokens that may be good for the server: an access token if it is a JWT, and the ID token
 */
export async function signIn(
  client: Client,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<string[]> {
  const { authorization_servers, cairn_login: login } = await client.get<ResourceMetadata>(
    '/.well-known/oauth-protected-resource',
  );
  const [issuer = ''] = authorization_servers;
  if (login?.client_id === undefined)
    throw usageError(
      `${client.url.host} does not say as which client one signs in at ${issuer}.`,
      'Its admin sets CAIRN_OIDC_LOGIN; until then get a token from the issuer and give it to `cairn login --token -`.',
    );
  const found = await ask<IssuerMetadata>(
    `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`,
    signal,
  );
  const { token_endpoint, device_authorization_endpoint } = found;
  if (found.issuer !== issuer || token_endpoint === undefined || device_authorization_endpoint === undefined)
    throw failed(`${issuer} has no device authorization (RFC 8628).`);
  const code = await ask<DeviceCode & TokenAnswer>(device_authorization_endpoint, signal, login);
  if (code.error !== undefined) throw failed(`${issuer} refuses: ${code.error_description ?? code.error}`);
  tell(`Sign in at ${plain(code.verification_uri)} with the code ${plain(code.user_code)}`);
  if (code.verification_uri_complete) tell(`or open ${plain(code.verification_uri_complete)}`);
  const { access_token, id_token } = await answerTo(code, token_endpoint, login, signal);
  const isJwt = access_token?.split('.').length === 3;
  return [isJwt ? access_token : undefined, id_token].filter((token) => token !== undefined);
}

/** Asks for the tokens until the person has decided. */
async function answerTo(
  { device_code, interval = 5, expires_in }: DeviceCode,
  endpoint: string,
  login: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<TokenAnswer> {
  const end = Date.now() + expires_in * 1000;
  const grant_type = 'urn:ietf:params:oauth:grant-type:device_code';
  const { scope: _, ...client } = login;
  for (let seconds = interval; Date.now() < end; ) {
    await pause(seconds * 1000, signal);
    const answer = await ask<TokenAnswer>(endpoint, signal, { ...client, grant_type, device_code });
    if (answer.error === undefined) return answer;
    if (answer.error === 'slow_down') seconds += 5;
    else if (answer.error !== 'authorization_pending')
      throw failed(`Nobody was signed in: ${answer.error_description ?? answer.error}`);
  }
  throw failed('Nobody has signed in in time.');
}

/** A JSON answer, of a POST where there is something to send. Errors of OAuth come as 400 with a body that says which. */
async function ask<T>(
  address: string,
  signal: AbortSignal,
  form?: Readonly<Record<string, string>>,
): Promise<T> {
  const url = URL.parse(address);
  if (url === null || (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(url))))
    throw failed(`"${address}" is not an https address.`);
  const answer = await send({
    method: form ? 'POST' : 'GET',
    url,
    signal,
    silence: 30_000,
    headers: {
      accept: 'application/json',
      ...(form ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
    },
    ...(form ? { body: Buffer.from(new URLSearchParams(form).toString()) } : {}),
  }).catch((error: Error) => {
    signal.throwIfAborted();
    throw failed(`${url.host} cannot be reached: ${error.message}`);
  });
  const text = await readText(answer, ANSWER_MAX);
  try {
    return JSON.parse(text) as T;
  } catch {
    throw failed(`${url.host} answers ${answer.statusCode} and no JSON.`);
  }
}

const failed = (detail: string) => new CliError({ code: 'SIGN_IN_FAILED', detail: plain(detail) });
