import process from 'node:process';
import { deliverWebhooks } from '../aws/deliver-webhook.ts';
import { openLog } from '../aws/log.ts';
import { measured, someFailed } from '../aws/measured.ts';
import { openPorts } from '../aws/ports.ts';
import { publicSender } from '../aws/public-sender.ts';
import { parseSettings } from '../aws/settings.ts';

const logger = openLog();
const ports = openPorts(parseSettings(process.env), { logger });
const sender = publicSender();

export const handler = measured('deliver-webhook', deliverWebhooks({ ...ports, sender, logger }), {
  failed: someFailed,
});
