import process from 'node:process';
import { openLog } from '../aws/log.ts';
import { measured, someFailed } from '../aws/measured.ts';
import { openPorts } from '../aws/ports.ts';
import { parseSettings } from '../aws/settings.ts';
import { verifyUploads } from '../aws/verify-upload.ts';

const logger = openLog();
const ports = openPorts(parseSettings(process.env), { logger });

export const handler = measured('verify-upload', verifyUploads({ ...ports, logger }), { failed: someFailed });
