import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { authoriser } from '../../../functions/aws/authorizer.ts';
import type { Grant } from '../../../shared/access/grant.ts';
import { IssuerTrust, type TrustedIssuer } from '../../../shared/access/issuer.ts';
import { issueToken, revokeToken } from '../../../shared/access/token.ts';
import { openOidcIssuer } from '../../../shared/adapters/oidc-issuer.ts';
import { startIssuer, type TestIssuer } from '../../support/issuer.ts';
import { someone } from '../../support/local-ports.ts';
import { asRole, type FunctionPorts, invocation, openFunctionPorts } from './aws-fixture.ts';

const admin = someone('ada', 'admin');
const API = 'arn:aws:execute-api:us-east-1:123456789012:abc123/cairn';

let ports: FunctionPorts;
beforeEach(async () => {
  ports = await openFunctionPorts();
});
afterEach(() => ports.close());

/** Source: docs.aws.amazon.com/apigateway/latest/developerguide, "Input to an API Gateway Lambda authorizer", REQUEST. */
const request = (headers: object) => ({
  type: 'REQUEST',
  methodArn: `${API}/POST/endpoints/default/digits/v2/models/digits/infer`,
  resource: '/endpoints/{workspace}/{name}/{proxy+}',
  path: '/endpoints/default/digits/v2/models/digits/infer',
  httpMethod: 'POST',
  headers,
  queryStringParameters: {},
  pathParameters: { workspace: 'default', name: 'digits', proxy: 'v2/models/digits/infer' },
  stageVariables: {},
  requestContext: { requestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef', stage: 'cairn', httpMethod: 'POST' },
});

const ask = (headers: object) => authoriser(asRole('authorizer', ports))(request(headers), invocation());

async function tokenOf(principal: string, grant: Omit<Grant, 'role'>) {
  const grants = [{ role: 'viewer' as const, ...grant }];
  return issueToken(ports, admin, { principal, description: '', grants });
}

test('who may call the endpoint may do so with every method, for what is decided is kept for the path', async () => {
  const { token } = await tokenOf('vic', { workspace: 'default', models: 'digits' });
  for (const headers of [
    { Authorization: `Bearer ${token}` },
    { authorization: `Basic ${Buffer.from(`any:${token}`).toString('base64')}` },
  ]) {
    expect(await ask(headers)).toMatchObject({
      principalId: 'vic',
      policyDocument: {
        Version: '2012-10-17',
        Statement: [
          { Action: 'execute-api:Invoke', Effect: 'Allow', Resource: `${API}/*/endpoints/default/digits/*` },
        ],
      },
    });
  }
});

test('who may not is refused, and who is unknown is unauthorised', async () => {
  const { token } = await tokenOf('eve', { workspace: 'default', models: 'faces' });
  const decision = await ask({ Authorization: `Bearer ${token}` });
  expect(decision.policyDocument.Statement[0].Effect).toBe('Deny');
  const revoked = await tokenOf('vic', { workspace: '*', models: '*' });
  await revokeToken(ports, admin, revoked.info.id);
  for (const headers of [{}, { Authorization: 'nonsense' }, { Authorization: `Bearer ${revoked.token}` }]) {
    await expect(ask(headers)).rejects.toThrow(/^Unauthorized$/);
  }
  expect(JSON.stringify(ports.lines)).not.toContain(revoked.token);
});

describe('with tokens of an issuer', () => {
  let issuer: TestIssuer;
  let trusted: TrustedIssuer;
  beforeEach(async () => {
    issuer = await startIssuer(ports.clock.now);
    const roles = [{ claim: 'groups', value: 'callers', grant: 'viewer@default/digits' }];
    const trust = IssuerTrust.parse({ issuer: issuer.url, audience: 'cairn', roles });
    const verifier = openOidcIssuer({ trust, clock: ports.clock, onFault: () => {} });
    trusted = { trust, verifier };
  });
  afterEach(() => issuer.stop());

  const askWith = (token: string) =>
    authoriser({ ...asRole('authorizer', ports), issuer: trusted })(
      request({ Authorization: `Bearer ${token}` }),
      invocation(),
    );

  test('whoever has a role may call, whoever has none may not, and what is expired is unauthorised', async () => {
    const token = await issuer.sign({ sub: 'ada', groups: ['callers'] });
    expect(await askWith(token)).toMatchObject({
      principalId: 'oidc:ada',
      policyDocument: { Statement: [{ Effect: 'Allow' }] },
    });
    expect(await askWith(await issuer.sign({ sub: 'eve' }))).toMatchObject({
      principalId: 'unnamed',
      policyDocument: { Statement: [{ Effect: 'Deny' }] },
    });
    ports.clock.advance(2 * 3600_000);
    await expect(askWith(token)).rejects.toThrow(/^Unauthorized$/);
    expect(JSON.stringify(ports.lines)).not.toContain(token);
  });

  test('an issuer that is down is no refusal', async () => {
    const token = await issuer.sign({ sub: 'ada', groups: ['callers'] });
    await issuer.stop();
    await expect(askWith(token)).rejects.toMatchObject({ code: 'ISSUER_UNAVAILABLE' });
  });
});

test('a table that does not answer is no refusal', async () => {
  const table = { ...ports.table, get: () => Promise.reject(new Error('throttled')) };
  const failing = authoriser({ ...ports, table })(request({ Authorization: 'Bearer x' }), invocation());
  await expect(failing).rejects.toThrow('throttled');
});
