import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from '../../../infra/bundle.ts';
import { startIssuer, type TestIssuer } from '../../support/issuer.ts';
import { ENV } from './environment.ts';

let outdir: string;
let issuer: TestIssuer;
beforeAll(async () => {
  outdir = mkdtempSync(join(tmpdir(), 'cairn-oidc-'));
  issuer = await startIssuer(Date.now);
  await Promise.all((['api', 'authorizer'] as const).map((name) => bundle(name, join(outdir, name))));
});
afterAll(async () => {
  await issuer.stop();
  rmSync(outdir, { recursive: true });
});

/** Nothing of AWS can be reached from here: a call to it would fail the request. */
const environment = () => ({
  ...ENV,
  AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
  CAIRN_OIDC_ISSUER: issuer.url,
  CAIRN_OIDC_AUDIENCE: 'cairn',
  CAIRN_OIDC_ROLES: '[{"claim":"groups","value":"ml","grant":"viewer@default/*"}]',
});

/** Imports the bundle, says what was there, and then what it answers to the event. */
const SCRIPT = `
const { handler } = await import(process.argv[1]);
console.error('imported');
await new Promise((go) => process.stdin.once('data', go));
process.stdin.destroy();
const answer = await handler(JSON.parse(process.argv[2]), { awsRequestId: 'r1' });
console.error(JSON.stringify(answer));
`;

// biome-ignore lint/suspicious/noExplicitAny: each function answers with a shape of its own
async function answerOf(name: string, event: object): Promise<any> {
  const asked = issuer.asked.length;
  const child = promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', SCRIPT, join(outdir, name, 'index.mjs'), JSON.stringify(event)],
    { env: environment() },
  );
  let imported = -1;
  child.child.stderr?.once('data', () => {
    imported = issuer.asked.length;
    child.child.stdin?.end('go');
  });
  const { stderr } = await child;
  expect(imported).toBe(asked);
  return JSON.parse(stderr.trim().split('\n').at(-1) ?? '');
}

test('the api function as it is deployed takes the issuer’s tokens, and begins without asking the issuer', async () => {
  const token = await issuer.sign({ sub: 'ada', groups: ['ml'] });
  const { statusCode, body } = await answerOf('api', {
    resource: '/{proxy+}',
    path: '/api/v1/whoami',
    httpMethod: 'GET',
    headers: { Authorization: `Bearer ${token}` },
    requestContext: { requestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef', domainName: 'cairn.example' },
    body: null,
    isBase64Encoded: false,
  });
  expect([statusCode, JSON.parse(body)]).toMatchObject([200, { principal: 'oidc:ada', issuer: issuer.url }]);
});

test('so does the authorizer', async () => {
  const token = await issuer.sign({ sub: 'ada', groups: ['ml'] });
  const decision = await answerOf('authorizer', {
    type: 'REQUEST',
    methodArn: 'arn:aws:execute-api:us-east-1:123456789012:abc123/cairn/POST/endpoints/default/digits/x',
    headers: { Authorization: `Bearer ${token}` },
    pathParameters: { workspace: 'default', name: 'digits', proxy: 'x' },
    requestContext: { requestId: 'c6af9ac6-7b61-11e6-9a41-93e8deadbeef' },
  });
  expect(decision).toMatchObject({
    principalId: 'oidc:ada',
    policyDocument: { Statement: [{ Effect: 'Allow' }] },
  });
});
