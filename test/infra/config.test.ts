import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { configKeys, parseConfig } from '../../infra/config.ts';

test('without any key, nothing that costs money while idle is made, and all data is kept', () => {
  expect(parseConfig({ 'aws:cdk:other': 1 })).toMatchObject({ serving: false, removalPolicy: 'retain' });
});

test('a value on the command line means the same as in cdk.json', () => {
  const inFile = {
    'cairn:serving': true,
    'cairn:logRetentionDays': 7,
    'cairn:throttling': { rate: 5, burst: 9 },
  };
  const onCommandLine = Object.fromEntries(
    Object.entries(inFile).map(([key, value]) => [key, JSON.stringify(value)]),
  );
  expect(parseConfig(onCommandLine)).toEqual(parseConfig(inFile));
});

const RULE = { claim: 'groups', value: 'ml-admins', grant: 'admin@*/*' };
const OIDC = { issuer: 'https://id.example.com', audience: 'cairn', roles: [RULE] };

test.each([
  ['an unknown key', { 'cairn:srving': true }, 'cairn:srving: unknown'],
  ['a key without its prefix', { serving: true }, 'serving: unknown; the key is cairn:serving'],
  ['a key inside a value', { 'cairn:throttling': { rate: 1, burst: 1, per: 's' } }, 'cairn:throttling: '],
  ['a wrong value', { 'cairn:removalPolicy': 'keep' }, 'cairn:removalPolicy: '],
  [
    'a retention that CloudWatch has not',
    { 'cairn:logRetentionDays': 8 },
    'cairn:logRetentionDays: one of 1, 3',
  ],
  [
    'an issuer without an audience',
    { 'cairn:oidc': { ...OIDC, audience: undefined } },
    'cairn:oidc.audience: ',
  ],
  [
    'an issuer in the clear',
    { 'cairn:oidc': { ...OIDC, issuer: 'http://id.example.com' } },
    'cairn:oidc.issuer: must be an https',
  ],
  [
    'a grant that is none',
    { 'cairn:oidc': { ...OIDC, roles: [{ ...RULE, grant: 'root@default' }] } },
    'cairn:oidc.roles.0.grant: There is no role "root".',
  ],
  [
    'more rules than a function’s environment takes',
    { 'cairn:oidc': { ...OIDC, roles: Array.from({ length: 20 }, () => RULE) } },
    'cairn:oidc: more than the 1150 bytes that fit',
  ],
  ['half a VPC', { 'cairn:serving': true, 'cairn:vpc': { id: 'vpc-0a' } }, 'cairn:vpc.subnetIds: '],
  [
    'a key that would be without effect',
    { 'cairn:modelServerImage': 'x' },
    'cairn:modelServerImage: only with cairn:serving=true',
  ],
  [
    'packages for an image that is given',
    { 'cairn:serving': true, 'cairn:pythonServerImage': 'x', 'cairn:pythonPackages': ['numpy==2.4.6'] },
    'cairn:pythonPackages: only with cairn:pythonServerImage=build',
  ],
  [
    'an index with a password',
    {
      'cairn:serving': true,
      'cairn:pythonServerImage': 'x',
      'cairn:pythonIndex': 'https://ann:secret@index.example/simple',
    },
    'cairn:pythonIndex: must have no user name or password',
  ],
  [
    'an index without Python',
    { 'cairn:serving': true, 'cairn:pythonIndex': 'https://index.example/simple' },
    'cairn:pythonIndex: only with cairn:pythonServerImage',
  ],
  [
    'a package that is an option',
    { 'cairn:serving': true, 'cairn:pythonServerImage': 'build', 'cairn:pythonPackages': ['--pre; rm'] },
    'cairn:pythonPackages.0: ',
  ],
])('%s is refused by its name', (_, context, message) => {
  expect(() => parseConfig(context)).toThrow(message);
});

test('the table in docs/aws.md is that of the keys', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/aws.md'), 'utf8');
  const rows = configKeys().map(({ key, fallback, meaning }) => {
    const shown = typeof fallback === 'object' ? JSON.stringify(fallback) : fallback;
    return `| \`${key}\` | ${shown === undefined ? '' : `\`${shown}\``} | ${meaning} |`;
  });
  expect(page.split('\n').filter((line) => line.startsWith('| `cairn:'))).toEqual(rows);
});

test('every key says what it means', () => {
  for (const { key, meaning } of configKeys()) expect(meaning, key).not.toBe('');
});
