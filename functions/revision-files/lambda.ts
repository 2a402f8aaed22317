import process from 'node:process';
import { registeredVersions } from '../../shared/serving/registered-versions.ts';
import { openLog } from '../aws/log.ts';
import { measured } from '../aws/measured.ts';
import { openPorts } from '../aws/ports.ts';
import { revisionFilesDoor } from '../aws/revision-files.ts';
import { parseSettings } from '../aws/settings.ts';

const logger = openLog();
const ports = openPorts(parseSettings(process.env), { logger });

const handle = revisionFilesDoor({ ...ports, versions: registeredVersions(ports), logger });

export const handler = measured('revision-files', handle, { failed: ({ statusCode }) => statusCode >= 500 });
