import { expect, test } from 'vitest';
import { mistyped, parseSettings, settingsHelp } from '../../../functions/local/settings.ts';

const OIDC = {
  CAIRN_OIDC_ISSUER: 'https://id.example.com',
  CAIRN_OIDC_AUDIENCE: 'cairn',
  CAIRN_OIDC_ROLES: '[{"claim":"groups","value":"ml","grant":"viewer@default"}]',
};

test('an issuer is a setting like others: told in full, or by each thing that is wrong', () => {
  expect(parseSettings(OIDC)).toMatchObject({
    issuer: { issuer: 'https://id.example.com', audience: 'cairn' },
  });
  expect(parseSettings({})).toMatchObject({ issuer: undefined });
  expect(parseSettings({ ...OIDC, CAIRN_PORT: 'x', CAIRN_OIDC_ROLES: 'ml' })).toEqual({
    problems: [
      expect.stringMatching(/^CAIRN_PORT: /),
      expect.stringMatching(/^CAIRN_OIDC_ROLES: must be JSON/),
    ],
  });
  for (const name of Object.keys(OIDC)) expect(settingsHelp()).toContain(name);
});

test('an admin’s token that would be taken for one of the issuer is refused', () => {
  const jwt = { CAIRN_ADMIN_TOKEN: 'eyJhbGciOiJub25lIn0.e30.' };
  expect(parseSettings(jwt)).toMatchObject({ adminToken: jwt.CAIRN_ADMIN_TOKEN });
  expect(parseSettings({ ...OIDC, ...jwt })).toEqual({
    problems: [expect.stringMatching(/^CAIRN_ADMIN_TOKEN: must not look like a JWT/)],
  });
});

test('a variable whose name is nearly a setting’s is told, and another program’s is not', () => {
  const env = {
    CAIRN_DATADIR: '/mnt',
    CAIRN_URL: 'x',
    CAIRN_TOKEN: 'x',
    CAIRN_PORT: '1',
    CAIRN_SERVICE_HOST: '10.0.0.1',
  };
  expect(mistyped(env)).toEqual(['CAIRN_DATADIR is no setting and does nothing; CAIRN_DATA_DIR is one.']);
});
