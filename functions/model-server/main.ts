import type { AddressInfo } from 'node:net';
import { CairnError } from '../../shared/errors.ts';
import { createBatcher } from './batcher.ts';
import { drain } from './drain.ts';
import { type EmfReporter, startEmf } from './emf.ts';
import { jsonLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import { loadModel } from './model.ts';
import { requestBodies } from './request-body.ts';
import { createModelServer } from './server.ts';
import { readSettings, type Settings } from './settings.ts';
import { type ListedFile, verifyFiles } from './verify-files.ts';

/** Exit codes: 0 drained, 1 unexpected or drained too late, 2 settings, 3 files are not what was published, 4 model does not load. */
const write = (line: string) => void process.stdout.write(line);

process.on('uncaughtException', (error) => {
  jsonLog('error', write)('error', `uncaught: ${error.message}`, { stack: error.stack });
  process.exit(1);
});

const settings = await orExit(2, async () => readSettings(process.env));
if (settings.CAIRN_EXIT_WITH_PARENT === '1') process.stdin.on('end', () => process.exit(0)).resume();
const log = jsonLog(settings.CAIRN_LOG_LEVEL, write);
// As the first process of a container it would not end by itself while it starts.
let end: () => void = () => process.exit(0);
process.on('SIGTERM', () => end());
process.on('SIGINT', () => end());
const files = await orExit(3, () => filesOf(settings));
const model = await orExit(4, () => loadModel(settings, files, log));

const metrics = createMetrics(model);
const batcher = createBatcher(model.run, {
  joinable: model.joinable,
  maxRows: settings.CAIRN_BATCH_MAX,
  maxWaiting: settings.CAIRN_QUEUE_MAX,
  onRun: metrics.ran,
  onUnjoinable: (why) => log('warn', `batching is off: ${why}`),
});
const emf = reporterOf(settings);
let draining = false;
const server = createModelServer({
  model,
  batcher,
  metrics,
  log,
  bodies: requestBodies({ bodyLimit: settings.CAIRN_BODY_LIMIT, memoryMiB: settings.CAIRN_MEMORY_MIB }),
  basePath: settings.CAIRN_BASE_PATH,
  headers: identity(settings),
  record: emf?.record,
  draining: () => draining,
});
server.listen(settings.CAIRN_PORT, settings.CAIRN_HOST, () => {
  write(`${JSON.stringify({ ready: true, port: (server.address() as AddressInfo).port })}\n`);
});
end = () => {
  if (draining) return;
  draining = true;
  drain(server, { seconds: settings.CAIRN_DRAIN_SECONDS, log, onEnd: () => emf?.flush() });
};

async function filesOf(settings: Settings): Promise<ListedFile[]> {
  const { CAIRN_FILES_URL: url, CAIRN_FILES_TOKEN: token = '', CAIRN_FILES_DIGEST: digest = '' } = settings;
  const directory = settings.CAIRN_MODEL_DIR;
  if (url === undefined) return verifyFiles(directory, settings.CAIRN_MODEL_FILES ?? '');
  const { fetchFiles } = await import('./fetch-files.ts');
  return fetchFiles({ url, token, digest }, directory, log);
}

function reporterOf(settings: Settings): EmfReporter | undefined {
  const {
    CAIRN_WORKSPACE: workspace = '',
    CAIRN_ENDPOINT: endpoint = '',
    CAIRN_REVISION: revision = 0,
  } = settings;
  return settings.CAIRN_METRICS === 'emf' ? startEmf({ workspace, endpoint, revision }, write) : undefined;
}

/** What the gateway says where there is one. */
function identity({
  CAIRN_REVISION: revision,
  CAIRN_MODEL_VERSION: version,
}: Settings): Record<string, string> {
  return revision === undefined ? {} : { 'cairn-revision': String(revision), 'cairn-version': version };
}

async function orExit<T>(code: number, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const reason =
      error instanceof CairnError ? { code: error.code, msg: error.detail } : { msg: String(error) };
    jsonLog('error', write)(
      'error',
      `cannot start: ${reason.msg}`,
      'code' in reason ? { code: reason.code } : {},
    );
    process.exit(code);
  }
}
