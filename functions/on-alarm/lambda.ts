import process from 'node:process';
import { openLog } from '../aws/log.ts';
import { measured } from '../aws/measured.ts';
import { alarmHandler } from '../aws/on-alarm.ts';
import { openPorts } from '../aws/ports.ts';
import { openServing } from '../aws/serving.ts';
import { parseSettings } from '../aws/settings.ts';

const settings = parseSettings(process.env);
const logger = openLog();
const ports = openPorts(settings, { logger });
const serving = openServing(settings, ports);
if (!serving)
  throw new Error('on-alarm is only there when endpoints are served: CAIRN_ECS_CLUSTER is missing.');

export const handler = measured('on-alarm', alarmHandler({ ...ports, serving, logger }));
