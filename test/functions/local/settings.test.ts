import { expect, test } from 'vitest';
import { locationText } from '../../../functions/local/blob-location.ts';
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

test('a bucket is told by its address: prefix, endpoint, region and path style', () => {
  const store = (CAIRN_BLOB_STORE: string) => parseSettings({ CAIRN_BLOB_STORE });
  expect(store('s3://models')).toMatchObject({
    blobStore: { bucket: 'models', prefix: '', forcePathStyle: false },
  });
  const own = store('s3://models/team/a/?endpoint=https://s3.example.com:9000/&region=garage');
  expect(own).toMatchObject({
    blobStore: {
      bucket: 'models',
      prefix: 'team/a/',
      endpoint: 'https://s3.example.com:9000',
      region: 'garage',
      forcePathStyle: true,
    },
  });
  if (!('problems' in own) && own.blobStore)
    expect(locationText(own.blobStore)).toBe('s3://models/team/a at https://s3.example.com:9000');
  expect(store('s3://models?endpoint=https://r2.example.com&forcePathStyle=false')).toMatchObject({
    blobStore: { forcePathStyle: false },
  });
  expect(parseSettings({})).toMatchObject({ blobStore: undefined });
  expect(settingsHelp()).toContain('CAIRN_BLOB_STORE');
});

test.each([
  ['models', /must be s3:\/\//],
  ['https://models', /must be s3:\/\//],
  ['s3://key:secret@models', /must not have credentials/],
  ['s3://Models', /names the bucket "Models"/],
  ['s3://a', /names the bucket "a"/],
  ['s3://models/a b', /has the prefix/],
  ['s3://models/a//b', /has the prefix/],
  ['s3://models/50%25', /has the prefix/],
  ['s3://models/workspaces/a', /begins with "workspaces"/],
  ['s3://models?endpoint=localhost:9000', /has the endpoint/],
  ['s3://models?endpoint=https://a:b@s3.example.com', /has the endpoint/],
  ['s3://models?forcePathStyle=yes', /forcePathStyle/],
  ['s3://models?sse=true', /has the parameter "sse"/],
  ['s3://models?region=a&region=b', /has the parameter "region"/],
])('the address %s is refused with the reason', (CAIRN_BLOB_STORE, reason) => {
  const { problems } = parseSettings({ CAIRN_BLOB_STORE }) as { problems: string[] };
  expect(problems).toEqual([expect.stringMatching(reason)]);
  expect(problems[0]).toMatch(/^CAIRN_BLOB_STORE: /);
  expect(problems[0]).not.toContain('secret');
});
