import process from 'node:process';
import { openLog } from '../aws/log.ts';
import { measured, someFailed } from '../aws/measured.ts';
import { openPorts } from '../aws/ports.ts';
import { reconciler } from '../aws/reconcile.ts';
import { openServing } from '../aws/serving.ts';
import { parseSettings } from '../aws/settings.ts';

const settings = parseSettings(process.env);
const logger = openLog();
const ports = openPorts(settings, { logger });

const handle = reconciler({ ...ports, serving: openServing(settings, ports), logger });

export const handler = measured('reconcile', handle, { failed: someFailed });
