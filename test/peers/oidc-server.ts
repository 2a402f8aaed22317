import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

/** Clients of the server: a machine with a secret, and the command on somebody's computer. */
export const MACHINE = { id: 'ci', secret: 'a-secret-of-the-machine-client' };
export const COMMAND = 'cairn-cli';

const AUDIENCE = 'urn:cairn';

/** Panva's oidc-provider, certified for OpenID Connect, at an address of this machine. */
export interface OidcServer {
  readonly issuer: string;
  /** The settings by which a Cairn trusts it. */
  readonly settings: Readonly<Record<string, string>>;
  /** A JWT access token for the machine, in the groups that were told last. */
  machineToken(): Promise<string>;
  groups: readonly string[];
  stop(): Promise<void>;
}

export async function startOidcServer(): Promise<OidcServer> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  let provider: Provider | undefined;
  const server = createServer((req, res) => void provider?.callback()(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const running: OidcServer = {
    issuer,
    groups: ['ml'],
    settings: {
      CAIRN_OIDC_ISSUER: issuer,
      CAIRN_OIDC_AUDIENCE: AUDIENCE,
      CAIRN_OIDC_LOGIN: JSON.stringify({ client_id: COMMAND, scope: 'openid models', resource: AUDIENCE }),
      CAIRN_OIDC_ROLES: JSON.stringify([
        { claim: 'groups', value: 'ml', grant: 'contributor@default/*' },
        { claim: 'groups', value: 'approvers', grant: 'approver@default/*' },
      ]),
    },
    async machineToken() {
      const answer = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: {
          authorization: `Basic ${Buffer.from(`${MACHINE.id}:${MACHINE.secret}`).toString('base64')}`,
        },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: AUDIENCE }),
      });
      const { access_token, ...rest } = (await answer.json()) as { access_token?: string };
      if (access_token === undefined) throw new Error(JSON.stringify(rest));
      return access_token;
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  provider = new Provider(issuer, {
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'one', use: 'sig', alg: 'RS256' }] },
    cookies: { keys: ['a key of this test'] },
    scopes: ['openid', 'offline_access', 'models'],
    clients: [
      {
        client_id: MACHINE.id,
        client_secret: MACHINE.secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
      {
        client_id: COMMAND,
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    extraTokenClaims: () => ({ groups: running.groups }),
    findAccount: (_: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: {
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'models', audience: AUDIENCE, accessTokenFormat: 'jwt' }),
        useGrantedResource: () => true,
      },
    },
  });
  return running;
}
