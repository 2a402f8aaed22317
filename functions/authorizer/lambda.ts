import process from 'node:process';
import { authoriser, isRefusal } from '../aws/authorizer.ts';
import { openLog } from '../aws/log.ts';
import { measured } from '../aws/measured.ts';
import { openPorts } from '../aws/ports.ts';
import { parseSettings } from '../aws/settings.ts';

const logger = openLog();
const ports = openPorts(parseSettings(process.env), { logger });

export const handler = measured('authorizer', authoriser({ ...ports, logger }), { refused: isRefusal });
