import process from 'node:process';
import { handle, streamHandle } from 'hono/aws-lambda';
import { apiOf } from '../aws/api.ts';
import { firstStart } from '../aws/first-start.ts';
import { openLog } from '../aws/log.ts';
import { measured } from '../aws/measured.ts';
import { openPorts } from '../aws/ports.ts';
import { parseSettings } from '../aws/settings.ts';

const settings = parseSettings(process.env);
const logger = openLog();
const ports = openPorts(settings, { logger, before: firstStart(settings.CAIRN_ADMIN_TOKEN_SECRET) });
const app = apiOf(settings, ports, logger);
app.fetch = measured('api', app.fetch, { failed: ({ status }) => status >= 500 });

/** Lambda's own way to stream, which its emulators do not have: there the answer comes whole. */
const { awslambda }: { awslambda?: { streamifyResponse?: unknown } } = globalThis as object;

export const handler = awslambda?.streamifyResponse === undefined ? handle(app) : streamHandle(app);
