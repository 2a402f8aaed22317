import process from 'node:process';
import { authoriser, isRefusal } from '../aws/authorizer.ts';
import { openIssuer } from '../aws/issuer.ts';
import { openLog } from '../aws/log.ts';
import { measured } from '../aws/measured.ts';
import { openPorts } from '../aws/ports.ts';
import { parseSettings } from '../aws/settings.ts';

const logger = openLog();
const settings = parseSettings(process.env);
const ports = openPorts(settings, { logger });
const issuer = openIssuer(settings, ports.clock, logger);

export const handler = measured('authorizer', authoriser({ ...ports, issuer, logger }), {
  refused: isRefusal,
});
