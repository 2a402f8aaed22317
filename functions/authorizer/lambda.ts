import process from 'node:process';
import { authoriser } from '../aws/authorizer.ts';
import { openLog } from '../aws/log.ts';
import { openPorts } from '../aws/ports.ts';
import { parseSettings } from '../aws/settings.ts';

const logger = openLog();
export const handler = authoriser({ ...openPorts(parseSettings(process.env), { logger }), logger });
