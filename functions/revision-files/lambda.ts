import process from 'node:process';
import { registeredVersions } from '../../shared/serving/registered-versions.ts';
import { openLog } from '../aws/log.ts';
import { openPorts } from '../aws/ports.ts';
import { revisionFilesDoor } from '../aws/revision-files.ts';
import { parseSettings } from '../aws/settings.ts';

const logger = openLog();
const ports = openPorts(parseSettings(process.env), { logger });

export const handler = revisionFilesDoor({ ...ports, versions: registeredVersions(ports), logger });
