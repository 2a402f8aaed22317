import type { webcrypto } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  exportJWK,
  exportSPKI,
  type GenerateKeyPairResult,
  generateKeyPair,
  type JWTPayload,
  SignJWT,
} from 'jose';

export interface SignOptions {
  /** Of the header, beside what names algorithm and key. */
  readonly header?: Record<string, string>;
  /** A key that is not published. */
  readonly key?: webcrypto.CryptoKey | Uint8Array;
  readonly alg?: string;
}

/** An issuer of this test, whose documents and tokens it makes as it likes. */
export interface TestIssuer {
  readonly url: string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** Answers instead of the documents. */
  answer: ((path: string, res: ServerResponse) => boolean) | undefined;
  /** From now on signs with a new key, whose name is `kid`, and publishes no other. */
  rotate(kid: string): Promise<void>;
  publicKey(): Promise<string>;
  /** A token with the claims, and with issuer, audience `cairn` and an hour to live unless they say otherwise. */
  sign(claims: JWTPayload, options?: SignOptions): Promise<string>;
  stop(): Promise<void>;
}

/** @param now milliseconds since the Unix epoch */
export async function startIssuer(now: () => number): Promise<TestIssuer> {
  let key: GenerateKeyPairResult;
  let kid = '';
  const asked: string[] = [];
  const server = createServer(async (req, res) => {
    const path = req.url ?? '';
    asked.push(path);
    if (issuer.answer?.(path, res)) return;
    if (path === '/.well-known/openid-configuration')
      return res.end(JSON.stringify({ issuer: issuer.url, jwks_uri: `${issuer.url}/keys` }));
    const jwk = await exportJWK(key.publicKey);
    return res.end(JSON.stringify({ keys: [{ ...jwk, kid, alg: 'ES256', use: 'sig' }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer: TestIssuer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    answer: undefined,
    async rotate(name) {
      key = await generateKeyPair('ES256', { extractable: true });
      kid = name;
    },
    publicKey: () => exportSPKI(key.publicKey),
    sign(claims, { header = {}, key: other, alg = 'ES256' } = {}) {
      const seconds = Math.floor(now() / 1000);
      const all = { iss: issuer.url, aud: 'cairn', iat: seconds, exp: seconds + 3600, ...claims };
      return new SignJWT(all).setProtectedHeader({ alg, kid, ...header }).sign(other ?? key.privateKey);
    },
    async stop() {
      if (!server.listening) return;
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  await issuer.rotate('first');
  return issuer;
}
