import process from 'node:process';
import { ensureDefault } from '../aws/first-start.ts';
import { openIncomingBucket } from '../aws/incoming-bucket.ts';
import { openLog } from '../aws/log.ts';
import { measured, someFailed } from '../aws/measured.ts';
import { openPorts } from '../aws/ports.ts';
import { registerUploads } from '../aws/register-upload.ts';
import { parseSettings } from '../aws/settings.ts';

const settings = parseSettings(process.env);
const logger = openLog();
const incoming = openIncomingBucket(settings.CAIRN_INCOMING_BUCKET);

const ports = openPorts(settings, { logger, before: ensureDefault });

export const handler = measured('register-upload', registerUploads({ ...ports, incoming, logger }), {
  failed: someFailed,
});
