import type { ServerResponse } from 'node:http';
import { generateKeyPair, type JWTPayload, UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openOidcIssuer } from '../../../shared/adapters/oidc-issuer.ts';
import type { TokenVerifier } from '../../../shared/ports/token-verifier.ts';
import { startIssuer, type TestIssuer } from '../../support/issuer.ts';

const SECOND = 1000;
const now = () => Date.now();
const seconds = () => Math.floor(now() / SECOND);

let issuer: TestIssuer;
let faults: string[];
let verifier: TokenVerifier;

const open = (trust: { issuer: string; audience: string }) =>
  openOidcIssuer({ trust, clock: { now }, onFault: ({ message }) => faults.push(message) });

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 1) });
  issuer = await startIssuer(now);
  faults = [];
  verifier = open({ issuer: issuer.url, audience: 'cairn' });
});
afterEach(async () => {
  await issuer.stop();
  vi.useRealTimers();
});

const pass = (ms: number) => vi.setSystemTime(now() + ms);

/** Why the token is refused. */
async function refusal(token: string | Promise<string>): Promise<string> {
  const given = await token;
  const error = await verifier.verify(given).then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(JSON.stringify(error)).not.toContain(given);
  return error.detail;
}

const unavailable = (detail: string) => ({
  code: 'ISSUER_UNAVAILABLE',
  detail: expect.stringContaining(detail),
});

test('a token of the issuer tells its claims, and the keys are fetched once', async () => {
  expect(issuer.asked).toEqual([]);
  const token = await issuer.sign({ sub: 'ada', groups: ['ml'] });
  const [claims] = await Promise.all([verifier.verify(token), verifier.verify(token)]);
  expect(claims).toMatchObject({ sub: 'ada', groups: ['ml'], exp: seconds() + 3600 });
  await verifier.verify(
    await issuer.sign({ sub: 'bob', aud: ['else', 'cairn'] }, { header: { typ: 'at+jwt' } }),
  );
  expect(issuer.asked).toEqual(['/.well-known/openid-configuration', '/keys']);
});

describe('refused', () => {
  test.each<[string, JWTPayload, string]>([
    ['another issuer', { iss: 'https://elsewhere.example' }, 'not of the issuer'],
    ['no issuer', { iss: undefined }, 'not of the issuer'],
    ['another audience', { aud: 'else' }, 'not for the audience "cairn"'],
    ['no audience', { aud: undefined }, 'has no claim "aud"'],
    ['no end', { exp: undefined }, 'has no claim "exp"'],
    ['an end that is no number', { exp: 'never' as never }, 'a claim "exp" that is not right'],
    ['proof of a key', { cnf: { jkt: 'x' } }, 'bound to a key'],
    [
      'what a logout token has',
      { events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
      'neither',
    ],
  ])('%s', async (_, claims, why) => {
    expect(await refusal(issuer.sign({ sub: 'ada', ...claims }))).toContain(why);
  });

  test('the issuer’s address with a slash more', async () => {
    expect(await refusal(issuer.sign({ iss: `${issuer.url}/` }))).toContain('not of the issuer');
  });

  test('a token that has expired, or is not valid yet, but for half a minute between clocks', async () => {
    await verifier.verify(await issuer.sign({ exp: seconds() - 29 }));
    expect(await refusal(issuer.sign({ exp: seconds() - 31 }))).toContain('has expired');
    await verifier.verify(await issuer.sign({ nbf: seconds() + 29 }));
    expect(await refusal(issuer.sign({ nbf: seconds() + 31 }))).toContain('not valid yet');
  });

  test('an unsigned token', async () => {
    const claims = { iss: issuer.url, aud: 'cairn', exp: seconds() + 60, sub: 'ada' };
    expect(await refusal(new UnsecuredJWT(claims).encode())).toContain('not signed by one of');
  });

  test('a token signed with the public key as a shared secret', async () => {
    const key = new TextEncoder().encode(await issuer.publicKey());
    expect(await refusal(issuer.sign({ sub: 'ada' }, { alg: 'HS256', key }))).toContain(
      'not signed by one of',
    );
    expect(issuer.asked).toEqual([]);
  });

  test('a token that another key signed under the name of the issuer’s', async () => {
    const { privateKey } = await generateKeyPair('ES256');
    expect(await refusal(issuer.sign({ sub: 'ada' }, { key: privateKey }))).toContain('signature');
  });

  test('a token with other claims than were signed, or without its signature', async () => {
    const [header, , signature] = (await issuer.sign({ sub: 'ada' })).split('.');
    const [, claims] = (await issuer.sign({ sub: 'eve' })).split('.');
    expect(await refusal(`${header}.${claims}.${signature}`)).toContain('signature');
    expect(await refusal(`${header}.${claims}.`)).toContain('signature');
  });

  test('what else an issuer signs', async () => {
    expect(await refusal(issuer.sign({ sub: 'ada' }, { header: { typ: 'logout+jwt' } }))).toContain(
      'neither',
    );
    expect(await refusal(issuer.sign({ sub: 'ada' }, { header: { typ: 'dpop+jwt' } }))).toContain('neither');
  });

  test.each(['e30.e30.', 'eyJhbGciOiJFUzI1NiJ9.bm8.c2ln', 'ey.ey.ey', `eyJ${'a'.repeat(20_000)}.a.a`])(
    'what is no token of the size and form of one: %.30s',
    async (token) => {
      await refusal(token);
      expect(issuer.asked).toEqual([]);
    },
  );
});

describe('keys', () => {
  test('those that the issuer has changed to are fetched, and the old ones are good no more', async () => {
    const old = await issuer.sign({ sub: 'ada' });
    await verifier.verify(old);
    await issuer.rotate('second');
    pass(31 * SECOND);
    expect(await verifier.verify(await issuer.sign({ sub: 'ada' }))).toMatchObject({ sub: 'ada' });
    expect(await refusal(old)).toContain('not signed by one of the issuer’s keys');
  });

  test('a key that is taken back without a new one is good for ten minutes more', async () => {
    const old = await issuer.sign({ sub: 'ada' });
    await verifier.verify(old);
    await issuer.rotate('second');
    pass(599 * SECOND);
    await verifier.verify(old);
    pass(2 * SECOND);
    await refusal(old);
  });

  test('tokens with names of unknown keys have them fetched once in half a minute', async () => {
    await verifier.verify(await issuer.sign({ sub: 'ada' }));
    const { privateKey: key } = await generateKeyPair('ES256');
    const guess = (kid: string) => refusal(issuer.sign({ sub: 'ada' }, { key, header: { kid } }));
    pass(31 * SECOND);
    for (const kid of ['a', 'b', 'c', 'd']) await guess(kid);
    expect(issuer.asked.filter((path) => path === '/keys')).toHaveLength(2);
    pass(31 * SECOND);
    await Promise.all(['e', 'f', 'g'].map(guess));
    expect(issuer.asked.filter((path) => path === '/keys')).toHaveLength(3);
  });
});

describe('an issuer that cannot be used', () => {
  test('is down: that is no refusal, it is asked once more and then not for five seconds, and then it is back', async () => {
    const token = await issuer.sign({ sub: 'ada' });
    issuer.answer = (_, res) => {
      res.socket?.destroy();
      return true;
    };
    for (const _ of [1, 2, 3])
      await expect(verifier.verify(token)).rejects.toMatchObject(unavailable(issuer.url));
    expect(issuer.asked).toHaveLength(2);
    expect(faults).toHaveLength(1);
    issuer.answer = undefined;
    pass(5 * SECOND);
    expect(await verifier.verify(token)).toMatchObject({ sub: 'ada' });
  });

  test('goes down: known keys stay good for a while, whatever unknown ones are asked for', async () => {
    const token = await issuer.sign({ sub: 'ada' });
    await verifier.verify(token);
    const unknown = await issuer.sign({ sub: 'ada' }, { header: { kid: 'unknown' } });
    await issuer.stop();
    pass(31 * SECOND);
    await expect(verifier.verify(unknown)).rejects.toMatchObject(unavailable('ECONNREFUSED'));
    expect(await verifier.verify(token)).toMatchObject({ sub: 'ada' });
    pass(600 * SECOND);
    await expect(verifier.verify(token)).rejects.toMatchObject(unavailable('ECONNREFUSED'));
  });

  const json = (document: (url: string) => object, at: string) => (path: string, res: ServerResponse) => {
    if (!path.endsWith(at)) return false;
    res.end(JSON.stringify(document(issuer.url)));
    return true;
  };
  const status = (code: number) => (_: string, res: ServerResponse) => {
    res.writeHead(code, { location: '/elsewhere' });
    res.end();
    return true;
  };

  const text = (body: string) => (_: string, res: ServerResponse) => {
    res.end(body);
    return true;
  };

  test.each([
    [
      'is another one',
      json(() => ({ issuer: 'https://x.example', jwks_uri: 'https://x.example' }), 'configuration'),
      'it is of the issuer "https://x.example"',
    ],
    [
      'has its keys at an address that is not safe',
      json((issuer) => ({ issuer, jwks_uri: 'http://192.0.2.1/keys' }), 'configuration'),
      'is not https',
    ],
    ['does not say where its keys are', json((issuer) => ({ issuer }), 'configuration'), 'jwks_uri: '],
    ['has keys that are none', json(() => ({ keys: [{}] }), 'keys'), 'keys.0.kty: '],
    ['leads elsewhere', status(302), 'it answers 302'],
    ['has no document', status(404), 'it answers 404'],
    ['answers with a page', text('<html>'), 'it is not JSON'],
    ['answers without an end', text(' '.repeat(600_000)), 'larger than 524288 bytes'],
  ])('%s', async (_, answer, why) => {
    issuer.answer = answer;
    await expect(verifier.verify(await issuer.sign({ sub: 'ada' }))).rejects.toMatchObject(unavailable(why));
    expect(issuer.asked).not.toContain('/elsewhere');
    expect(faults.join()).toContain(why);
  });
});
