import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CairnError } from '../../shared/errors.ts';
import { pythonWish } from '../../shared/serving/python-wish.ts';
import { drain } from '../model-server/drain.ts';
import { startEmf } from '../model-server/emf.ts';
import { fetchFiles } from '../model-server/fetch-files.ts';
import { jsonLog } from '../model-server/log.ts';
import { createMetrics } from '../model-server/metrics.ts';
import { makeEnvironment, textIfThere } from './environment.ts';
import { createFront } from './front.ts';
import { ReplicaError, replicaEnvironment, startReplica } from './replica.ts';
import { readSettings } from './settings.ts';

/**
 * The first process of a container for a model that MLflow logged: fetches the revision's files, makes the environment that they
 * need, starts main.py in it and stands in front of it.
 *
 * Exit codes: 0 drained, 1 unexpected or drained too late, 2 settings, 3 files are not what was published, 4 model does not load,
 * 5 no environment.
 */
const HERE = import.meta.dirname;
const write = (line: string) => void process.stdout.write(line);

process.on('uncaughtException', (error) => {
  jsonLog('error', write)('error', `uncaught: ${error.message}`, { stack: error.stack });
  process.exit(1);
});

const settings = await orExit(2, async () => readSettings(process.env));
const log = jsonLog(settings.CAIRN_LOG_LEVEL, write);
// As the first process of a container it would not end by itself while it starts.
let end: () => void = () => process.exit(0);
process.on('SIGTERM', () => end());
process.on('SIGINT', () => end());

const work = settings.CAIRN_WORK_DIR;
const model = join(work, 'model');
const files = await orExit(3, () =>
  fetchFiles(
    {
      url: settings.CAIRN_FILES_URL,
      token: settings.CAIRN_FILES_TOKEN,
      digest: settings.CAIRN_FILES_DIGEST,
    },
    model,
    log,
  ),
);
const list = join(work, 'files.json');
await writeFile(list, JSON.stringify(files));
const python = await orExit(5, async () => {
  const folder = join(model, settings.CAIRN_MODEL_ENTRY);
  const server = await readFile(join(HERE, 'requirements.txt'), 'utf8');
  const wish = await pythonWish((name) => textIfThere(join(folder, name)), server);
  return makeEnvironment(wish, { home: settings.CAIRN_PYTHON_HOME, folder: join(work, 'python'), log });
});
const cwd = join(work, 'replica');
await mkdir(cwd, { recursive: true });
const own = {
  CAIRN_MODEL_DIR: model,
  CAIRN_MODEL_FILES: list,
  CAIRN_MODEL_ENTRY: settings.CAIRN_MODEL_ENTRY,
  CAIRN_MODEL_NAME: settings.CAIRN_MODEL_NAME,
  CAIRN_MODEL_VERSION: settings.CAIRN_MODEL_VERSION,
  CAIRN_HOST: '127.0.0.1',
  CAIRN_EXIT_WITH_PARENT: '1',
};
const replica = await orExit(4, () =>
  startReplica([python, join(HERE, 'main.py')], {
    cwd,
    env: replicaEnvironment(process.env, own, settings.CAIRN_THREADS),
    write,
  }),
);

const { CAIRN_WORKSPACE: workspace, CAIRN_ENDPOINT: endpoint, CAIRN_REVISION: revision } = settings;
const emf = settings.CAIRN_METRICS === 'emf' ? startEmf({ workspace, endpoint, revision }, write) : undefined;
let draining = false;
void replica.ended.then((code) => {
  if (draining) return;
  log('error', `the Python process ended with ${code}`);
  emf?.flush();
  process.exit(1);
});
const server = createFront({
  port: replica.port,
  basePath: settings.CAIRN_BASE_PATH,
  headers: { 'cairn-revision': String(revision), 'cairn-version': settings.CAIRN_MODEL_VERSION },
  metrics: createMetrics({ name: settings.CAIRN_MODEL_NAME, version: settings.CAIRN_MODEL_VERSION }),
  log,
  record: emf?.record,
  draining: () => draining,
});
server.listen(settings.CAIRN_PORT, settings.CAIRN_HOST, () => log('info', 'model loaded'));
end = () => {
  if (draining) return;
  draining = true;
  drain(server, {
    seconds: settings.CAIRN_DRAIN_SECONDS,
    log,
    async onEnd() {
      emf?.flush();
      await replica.end();
    },
  });
};

async function orExit<T>(code: number, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    const { message } = error as Error;
    const reason = error instanceof CairnError ? { code: error.code } : {};
    const msg = error instanceof CairnError ? error.detail : message;
    jsonLog('error', write)('error', `cannot start: ${msg}`, reason);
    process.exit(error instanceof ReplicaError ? error.code : code);
  }
}
