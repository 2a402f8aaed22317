import { locationText } from './blob-location.ts';
import type { RunningCairn } from './cairn.ts';
import type { Settings } from './settings.ts';
import { VERSION } from './version.ts';

/** What start-up tells a newcomer: the address, the token (once) and the next commands to try. */
export function banner(settings: Settings, cairn: RunningCairn): string {
  const login = cairn.adminToken === undefined ? '' : `echo ${cairn.adminToken} | `;
  return [
    '',
    `  Cairn ${VERSION} is ready at ${cairn.url}`,
    '',
    `  API and docs    ${cairn.url}/docs`,
    `  Data            ${settings.dataDir}`,
    ...(settings.blobStore ? [`  Bytes           ${locationText(settings.blobStore)}`] : []),
    `  Drop folder     ${cairn.incoming}/default/<model>/`,
    cairn.adminToken === undefined
      ? '  Admin token     as given before (CAIRN_ADMIN_TOKEN sets another)'
      : `  Admin token     ${cairn.adminToken}\n                  It is shown this once: keep it.`,
    ...(settings.issuer
      ? [`  Trusted issuer  ${settings.issuer.issuer} (audience ${settings.issuer.audience})`]
      : []),
    '',
    '  Try next, in another terminal:',
    `    ${login}npx cairn login ${cairn.url}${cairn.adminToken === undefined ? '' : ' --token -'}`,
    '    npx cairn push test/models/digits/digits-v1.onnx digits',
    '    npx cairn deploy digits@1',
    '',
    '',
  ].join('\n');
}
