import { expect, test } from 'vitest';
import { resourcesOf, SERVING, synthesised } from './synthesised.ts';

const REGION = 'ap-southeast-2';
const ACCOUNT = '123456789012';
const IMAGE = `${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com/cdk-hnb659fds-container-assets-${ACCOUNT}-${REGION}:${'a'.repeat(64)}`;

/** What deployment makes of a reference: as long as the longest of its kind. */
const KINDS: readonly [name: RegExp, value: string][] = [
  [/_KMS_/, `arn:aws:kms:${REGION}:${ACCOUNT}:key/${'0'.repeat(36)}`],
  [/_TOPIC$/, `arn:aws:sns:${REGION}:${ACCOUNT}:Cairn-${'x'.repeat(32)}`],
  [/_QUEUE_URL$/, `https://sqs.${REGION}.amazonaws.com/${ACCOUNT}/Cairn-${'x'.repeat(36)}`],
  [/_SECRET$/, `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:${'x'.repeat(44)}`],
  [/_ROLE$/, `arn:aws:iam::${ACCOUNT}:role/${'x'.repeat(56)}`],
  [/_SUBNETS$/, `${'subnet-00000000000000000,'.repeat(3)}`],
  [/_(SECURITY_GROUP|VPC)$/, 'sg-00000000000000000'],
  [
    /_LISTENER$/,
    `arn:aws:elasticloadbalancing:${REGION}:${ACCOUNT}:listener/app/Cairn-Servi-${'x'.repeat(12)}/${'0'.repeat(16)}/${'0'.repeat(16)}`,
  ],
  [
    /_FILES_URL$/,
    `http://internal-Cairn-Servi-${'x'.repeat(12)}-0000000000.${REGION}.elb.amazonaws.com:8081`,
  ],
  [/_PUBLIC_URL$/, `https://0000000000.execute-api.${REGION}.amazonaws.com/cairn`],
  [/./, `cairndata-${'x'.repeat(40)}`],
];

const deployed = (name: string, value: unknown) =>
  typeof value === 'string' ? value : (KINDS.find(([kind]) => kind.test(name))?.[1] ?? '');

test('with all that can be configured, a function’s environment is within the 4 KB that Lambda takes', () => {
  const rule = { claim: 'groups', value: 'ml-readers', grant: 'viewer@default/*' };
  const templates = synthesised({
    ...SERVING,
    'cairn:modelServerImage': IMAGE,
    'cairn:pythonServerImage': IMAGE,
    'cairn:pythonIndex': `https://index.example/${'x'.repeat(98)}`,
    'cairn:oidc': {
      issuer: 'https://id.example.com/realms/ml',
      audience: 'c'.repeat(68),
      roles: Array.from({ length: 12 }, () => rule),
    },
  });
  for (const { Properties } of resourcesOf(templates, 'AWS::Lambda::Function')) {
    const variables: Record<string, unknown> = Properties.Environment?.Variables ?? {};
    const measured = JSON.stringify(
      Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, deployed(name, value)])),
    );
    expect(measured.length, Properties.Description).toBeLessThanOrEqual(4096);
  }
});
