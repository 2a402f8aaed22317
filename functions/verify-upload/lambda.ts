import process from 'node:process';
import { openLog } from '../aws/log.ts';
import { openPorts } from '../aws/ports.ts';
import { parseSettings } from '../aws/settings.ts';
import { verifyUploads } from '../aws/verify-upload.ts';

const logger = openLog();
export const handler = verifyUploads({ ...openPorts(parseSettings(process.env), { logger }), logger });
