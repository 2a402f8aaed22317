import process from 'node:process';
import { openLog } from '../aws/log.ts';
import { openPorts } from '../aws/ports.ts';
import { reconciler } from '../aws/reconcile.ts';
import { openServing } from '../aws/serving.ts';
import { parseSettings } from '../aws/settings.ts';

const settings = parseSettings(process.env);
const logger = openLog();
const ports = openPorts(settings, { logger });

export const handler = reconciler({ ...ports, serving: openServing(settings, ports), logger });
