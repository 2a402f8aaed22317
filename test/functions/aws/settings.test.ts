import { expect, test } from 'vitest';
import { parseSettings } from '../../../functions/aws/settings.ts';
import { resourcesOf, SERVING, synthesised } from '../../infra/synthesised.ts';

/** What the stacks give a function; references are made a name, an ARN or a URL by what they are called. */
function environmentOf(context: Record<string, unknown>): Record<string, string> {
  const [api] = resourcesOf(synthesised(context), 'AWS::Lambda::Function').filter(({ Properties }) =>
    Properties.Description.includes('native API'),
  );
  const given = Object.entries<unknown>(api?.Properties.Environment.Variables ?? {});
  const text = (name: string, value: unknown) => {
    if (typeof value === 'string') return value;
    if (/_URL$/.test(name)) return 'https://example.com/cairn/';
    return /_(KEY|TOPIC|ROLE|LISTENER|SECRET)$/.test(name) ? `arn:aws:of:${name}` : name.toLowerCase();
  };
  return {
    ...Object.fromEntries(given.map(([name, value]) => [name, text(name, value)])),
    AWS_REGION: 'us-east-1',
  };
}

test('a function understands what the stacks tell it', () => {
  const settings = parseSettings(environmentOf({}));
  expect(settings).toMatchObject({
    CAIRN_TABLE: 'cairn_table',
    CAIRN_PUBLIC_URL: 'https://example.com/cairn',
  });
  expect(settings.serving).toBeUndefined();
});

test('a function understands what the stacks tell it of serving', () => {
  expect(parseSettings(environmentOf(SERVING)).serving).toMatchObject({
    CAIRN_ECS_ARCHITECTURE: 'ARM64',
    CAIRN_ECS_VERSION_CONSISTENCY: 'enabled',
    CAIRN_MODEL_SERVER_IMAGE: 'registry.example/model-server:1',
    CAIRN_ECS_SUBNETS: expect.any(Array),
  });
});

test('only the functions that authenticate are told of the issuer, and understand it', () => {
  const oidc = {
    issuer: 'https://id.example.com/',
    audience: 'cairn',
    roles: [{ claim: ['resource_access', 'a.b', 'roles'], value: 'ml', grant: 'admin@*/*' }],
    principalClaim: 'preferred_username',
  };
  const context = { ...SERVING, 'cairn:oidc': oidc };
  expect(parseSettings(environmentOf(context)).issuer).toEqual({
    ...oidc,
    roles: [{ ...oidc.roles[0], grant: { role: 'admin', workspace: '*', models: '*' } }],
  });
  const told = resourcesOf(synthesised(context), 'AWS::Lambda::Function')
    .filter(({ Properties }) => 'CAIRN_OIDC_ISSUER' in Properties.Environment.Variables)
    .map(({ Properties }) => Properties.Description);
  expect(told).toEqual(['Cairn: native API and the protocols of clients', 'Cairn: who may call an endpoint']);
});

test('every variable that is missing or wrong is named', () => {
  const { CAIRN_TABLE: _, CAIRN_ECS_VPC: __, ...env } = environmentOf(SERVING);
  expect(() => parseSettings({ ...env, CAIRN_PUBLIC_URL: 'nowhere' })).toThrow(
    /CAIRN_TABLE: .*\nCAIRN_PUBLIC_URL: .*\nCAIRN_ECS_VPC: /,
  );
});
