import { readFileSync } from 'node:fs';

/** The package's version: what `/version` and `cairn doctor` tell. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
).version;
