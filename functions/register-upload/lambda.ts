import process from 'node:process';
import { ensureDefault } from '../aws/first-start.ts';
import { openIncomingBucket } from '../aws/incoming-bucket.ts';
import { openLog } from '../aws/log.ts';
import { openPorts } from '../aws/ports.ts';
import { registerUploads } from '../aws/register-upload.ts';
import { parseSettings } from '../aws/settings.ts';

const settings = parseSettings(process.env);
const logger = openLog();
const incoming = openIncomingBucket(settings.CAIRN_INCOMING_BUCKET);

export const handler = registerUploads({
  ...openPorts(settings, { logger, before: ensureDefault }),
  incoming,
  logger,
});
