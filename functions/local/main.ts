import process from 'node:process';
import { pino } from 'pino';
import { banner } from './banner.ts';
import { type RunningCairn, startCairn } from './cairn.ts';
import { mistyped, parseSettings, settingsHelp } from './settings.ts';

if (process.argv.slice(2).some((argument) => argument === '--help' || argument === '-h')) {
  process.stdout.write(settingsHelp());
  process.exit(0);
}
const [unknown] = process.argv.slice(2);
if (unknown !== undefined) fail([`Unknown option "${unknown}".`], 2);

const settings = parseSettings(process.env);
if ('problems' in settings) fail(settings.problems, 2);

for (const sentence of mistyped(process.env)) process.stderr.write(`cairn: ${sentence}\n`);

const logger = pino({ level: settings.logLevel }, pino.destination({ dest: 2, sync: true }));
let cairn: RunningCairn;
try {
  cairn = await startCairn(settings, logger);
} catch (error) {
  fail([error instanceof Error ? error.message : String(error)], 1);
}
process.stdout.write(banner(settings, cairn));

let stopping = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (stopping) process.exit(130);
    stopping = true;
    process.stdout.write('\nStopping: requests under way are finished first. Again to stop at once.\n');
    cairn.close().then(
      () => process.exit(0),
      (err) => {
        logger.error({ err }, 'could not stop cleanly');
        process.exit(1);
      },
    );
  });
}

function fail(sentences: readonly string[], code: number): never {
  for (const sentence of sentences) process.stderr.write(`cairn: ${sentence}\n`);
  process.stderr.write('`npm start -- --help` lists the settings.\n');
  process.exit(code);
}
