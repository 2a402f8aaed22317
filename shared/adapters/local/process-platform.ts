import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import pMap from 'p-map';
import type { Clock } from '../../ports/clock.ts';
import type {
  EndpointRef,
  LogLine,
  PlatformObservation,
  RevisionFile,
  RevisionObservation,
  RevisionOrder,
  SteppedPlatform,
  TrafficWeights,
} from '../../ports/serving-platform.ts';
import { pythonWish } from '../../serving/python-wish.ts';
import { runtimeOf } from '../../serving/runtime.ts';
import type { RoutedRevision } from './gateway-upstream.ts';
import { ProcessLedger } from './process-ledger.ts';
import { openPythonEnvironments } from './python-environments.ts';
import { Replica, type ReplicaTimes } from './replica.ts';
import { LineRing, RotatingFile } from './replica-log.ts';

export interface ProcessPlatformOptions {
  /** Where the revisions' directories are; nothing else may be in it. */
  readonly directory: string;
  readonly clock: Clock;
  /** The model server's entry point. */
  readonly entry: string;
  /** Files and directories, beside its own, that a replica may read: its program. */
  readonly program: readonly string[];
  /** What models that MLflow logged run on. */
  readonly python?: PythonRuntime;
  /** Puts the file's bytes at the path, read-only and without copying where that is possible. */
  readonly materialise: (file: RevisionFile, targetPath: string) => Promise<void>;
  /** Something that `observe` would tell has changed. */
  readonly onChange?: (endpoint: EndpointRef) => void;
  /** What else every replica gets in its environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly times?: Partial<ReplicaTimes>;
}

export interface PythonRuntime {
  /** Where environments are kept, from one start to the next. */
  readonly directory: string;
  /** The Python server's entry point. */
  readonly entry: string;
  /** Packages that it needs, beside the model's. */
  readonly requirements: string;
}

export interface ProcessPlatform extends SteppedPlatform {
  /** What the gateway sends an endpoint's requests to. Synchronous: a shift counts for the next request. */
  routes(endpoint: EndpointRef): readonly RoutedRevision[];
  /** Drains and ends everything; what should run is started again by the next controller. */
  close(): Promise<void>;
}

const HOST = '127.0.0.1';
const LINES_KEPT = 2000;
/** Files of a revision that are put into its directory at once: where they come from another machine, each is waited for. */
const FILES_AT_ONCE = 8;
const TIMES: ReplicaTimes = {
  start: 120_000,
  drain: 30_000,
  end: 25_000,
  check: 1000,
  firstPause: 100,
  longestPause: 30_000,
};

interface RunningRevision {
  order: RevisionOrder;
  readonly directory: string;
  readonly replicas: Replica[];
  /** Replicas that a smaller number made surplus, until they have ended. */
  readonly ending: Set<Promise<void>>;
  /** Number of the next replica. */
  next: number;
  prepared: boolean;
  /** The interpreter and the folder of a model that MLflow logged. */
  python?: { readonly interpreter: string; readonly folder: string };
  preparing?: boolean;
  preparedAt?: number;
  readonly ended: AbortController;
  launched: Promise<void>;
  failures: number;
  lastFailure?: string;
}

interface RunningEndpoint {
  readonly ref: EndpointRef;
  readonly revisions: Map<number, RunningRevision>;
  weights: TrafficWeights;
  readonly lines: LineRing;
  readonly files: Map<string, RotatingFile>;
  /** Revisions on their way out. */
  readonly leaving: Map<number, Promise<void>>;
  routes?: readonly RoutedRevision[] | undefined;
}

/**
 * Runs revisions as processes of this machine. Each revision has its directory
 * `<directory>/<workspace>/<endpoint>/r<revision>` with its files under `model/`; each replica is a process with an
 * own working directory, port and environment, of which only PATH and LANG come from here. Node's permission model lets
 * it read its own revision and its program and write nothing. Logs are in `<directory>/<workspace>/<endpoint>/logs`
 * until the endpoint is withdrawn. Replicas that a killed server left behind are ended first.
 */
export async function openProcessPlatform(options: ProcessPlatformOptions): Promise<ProcessPlatform> {
  const { directory, clock, materialise } = options;
  const root = resolve(directory);
  const endpointsRoot = join(root, 'endpoints');
  const times = { ...TIMES, ...options.times };
  const endpoints = new Map<string, RunningEndpoint>();
  /** Endpoints on their way out: a new one of the same name waits. */
  const withdrawing = new Map<string, Promise<void>>();
  const ledger = new ProcessLedger(join(root, 'processes'));
  await ledger.endAll();
  const pythons = options.python && (await openPythonEnvironments(options.python.directory, ledger));
  await mkdir(endpointsRoot, { recursive: true });
  const found = await storedEndpoints(endpointsRoot);
  for (const ref of found) await removeRevisions(directoryOf(ref));

  function directoryOf({ workspace, endpoint }: EndpointRef): string {
    return join(endpointsRoot, safeName(workspace), safeName(endpoint));
  }

  async function endpointFor(ref: EndpointRef): Promise<RunningEndpoint> {
    const key = keyOf(ref);
    await withdrawing.get(key);
    const known = endpoints.get(key);
    if (known) return known;
    const { workspace, endpoint } = ref;
    const made: RunningEndpoint = {
      ref: { workspace, endpoint },
      revisions: new Map(),
      weights: {},
      lines: new LineRing(LINES_KEPT),
      files: new Map(),
      leaving: new Map(),
    };
    endpoints.set(key, made);
    return made;
  }

  function changed(endpoint: RunningEndpoint): void {
    endpoint.routes = undefined;
    options.onChange?.(endpoint.ref);
  }

  async function prepare(endpoint: RunningEndpoint, revision: RunningRevision): Promise<void> {
    const { order, directory: own } = revision;
    await endpoint.leaving.get(order.revision);
    await rm(own, { recursive: true, force: true });
    const model = join(own, 'model');
    await mkdir(model, { recursive: true });
    const put = async (file: RevisionFile) => {
      const target = resolve(model, file.path);
      if (!target.startsWith(model + sep)) throw new Error(`the path ${file.path} leads out of the model`);
      await mkdir(dirname(target), { recursive: true });
      await materialise(file, target);
    };
    await pMap(order.files, put, { concurrency: FILES_AT_ONCE });
    const list = order.files.map(({ path, size, sha256 }) => ({ path, size, sha256 }));
    await writeFile(join(own, 'files.json'), JSON.stringify(list));
  }

  /** An environment for what MLflow logged. It is made to its end although the revision ends: the next try finds it. */
  async function preparePython(endpoint: RunningEndpoint, revision: RunningRevision): Promise<void> {
    const { order, directory: own, ended } = revision;
    const runtime = runtimeOf(order.files);
    if (runtime?.kind !== 'mlflow') return;
    if (!options.python || !pythons) throw new Error('models that MLflow logged are not served here');
    const say = (message: string) =>
      log(endpoint, { at: clock.now(), revision: order.revision, replica: `r${order.revision}`, message });
    const wish = await pythonWish(
      (name) => textIfThere(join(own, 'model', runtime.folder, name)),
      await readFile(options.python.requirements, 'utf8'),
    );
    const over = new Promise<never>((_, reject) => {
      ended.signal.addEventListener('abort', () => reject(new Error('it was ended')), { once: true });
    });
    const made = pythons.interpreterFor(wish, (line) => {
      if (!ended.signal.aborted) say(line);
    });
    made.catch(() => {});
    over.catch(() => {});
    revision.preparing = true;
    try {
      revision.python = { interpreter: await Promise.race([made, over]), folder: runtime.folder };
      revision.preparedAt = clock.now();
    } finally {
      revision.preparing = false;
    }
  }

  /** Prepares the directory, again and again with pauses until it succeeds, and then starts the replicas. */
  async function launch(endpoint: RunningEndpoint, revision: RunningRevision): Promise<void> {
    let pause = times.firstPause;
    while (!revision.ended.signal.aborted && !revision.prepared) {
      try {
        await prepare(endpoint, revision).catch(naming('has no files'));
        await preparePython(endpoint, revision).catch(naming('has no Python environment'));
        revision.prepared = true;
      } catch (error) {
        if (revision.ended.signal.aborted) break;
        failed(endpoint, revision, `Revision ${revision.order.revision} ${(error as Error).message}.`);
        await setTimeout(pause, undefined, { signal: revision.ended.signal }).catch(() => {});
        pause = Math.min(2 * pause, times.longestPause);
      }
    }
    scale(endpoint, revision);
  }

  function scale(endpoint: RunningEndpoint, revision: RunningRevision): void {
    if (!revision.prepared || revision.ended.signal.aborted) return;
    while (revision.replicas.length < revision.order.replicas)
      revision.replicas.push(newReplica(endpoint, revision));
    const surplus = revision.replicas.splice(revision.order.replicas);
    for (const replica of surplus) {
      const ended = replica.end().finally(() => revision.ending.delete(ended));
      revision.ending.add(ended);
    }
    changed(endpoint);
  }

  function newReplica(endpoint: RunningEndpoint, revision: RunningRevision): Replica {
    const { order, directory: own, python } = revision;
    const number = revision.next++;
    const name = `r${order.revision}-${number}`;
    const cwd = join(own, `replica-${number}`);
    const threads = String(Math.max(1, Math.min(Math.floor(order.resources.cpu), availableParallelism())));
    return new Replica({
      name,
      cwd,
      command:
        python && options.python
          ? [python.interpreter, options.python.entry]
          : [
              process.execPath,
              '--permission',
              '--allow-addons',
              '--allow-worker',
              ...[own, ...options.program].map((path) => `--allow-fs-read=${path}`),
              '--no-warnings',
              options.entry,
            ],
      env: {
        ...only(process.env, ['PATH', 'LANG']),
        ...options.env,
        CAIRN_MODEL_DIR: join(own, 'model'),
        CAIRN_MODEL_NAME: order.model,
        CAIRN_MODEL_VERSION: String(order.version),
        CAIRN_MODEL_FILES: join(own, 'files.json'),
        CAIRN_HOST: HOST,
        CAIRN_PORT: '0',
        CAIRN_THREADS: threads,
        CAIRN_MEMORY_MIB: String(order.resources.memoryMiB),
        CAIRN_EXIT_WITH_PARENT: '1',
        ...(python && { ...pythonEnvironment(threads), CAIRN_MODEL_ENTRY: python.folder }),
      },
      host: HOST,
      memoryMiB: order.resources.memoryMiB,
      times,
      ledger,
      onLine: (message) =>
        log(endpoint, { at: clock.now(), revision: order.revision, replica: name, message }),
      onChange: () => changed(endpoint),
      onFailure: (why) => failed(endpoint, revision, why),
    });
  }

  function failed(endpoint: RunningEndpoint, revision: RunningRevision, why: string): void {
    revision.failures += 1;
    revision.lastFailure = why;
    const { order } = revision;
    log(endpoint, { at: clock.now(), revision: order.revision, replica: `r${order.revision}`, message: why });
    changed(endpoint);
  }

  function log(endpoint: RunningEndpoint, line: LogLine): void {
    endpoint.lines.push(line);
    let file = endpoint.files.get(line.replica);
    if (!file) {
      file = new RotatingFile(join(directoryOf(endpoint.ref), 'logs', `${line.replica}.log`));
      endpoint.files.set(line.replica, file);
    }
    file.write(`${new Date(line.at).toISOString()} ${line.message}`);
  }

  /** Ends a revision; the promise is for its last process and its directory. */
  function leave(endpoint: RunningEndpoint, revision: RunningRevision): Promise<void> {
    const { order, replicas, directory: own } = revision;
    revision.ended.abort();
    endpoint.revisions.delete(order.revision);
    const before = endpoint.leaving.get(order.revision);
    const gone = (async () => {
      await Promise.all([before, revision.launched]);
      await Promise.all([...revision.ending, ...replicas.map((replica) => replica.end())]);
      await rm(own, { recursive: true, force: true });
      for (const [name, file] of endpoint.files) {
        if (!name.startsWith(`r${order.revision}-`) && name !== `r${order.revision}`) continue;
        file.close();
        endpoint.files.delete(name);
      }
    })();
    endpoint.leaving.set(order.revision, gone);
    void gone.finally(() => {
      if (endpoint.leaving.get(order.revision) === gone) endpoint.leaving.delete(order.revision);
    });
    changed(endpoint);
    return gone;
  }

  async function leaveAll(endpoint: RunningEndpoint): Promise<void> {
    for (const revision of [...endpoint.revisions.values()]) void leave(endpoint, revision);
    await Promise.all(endpoint.leaving.values());
  }

  return {
    kind: 'stepped',

    async start(order) {
      const endpoint = await endpointFor(order);
      const known = endpoint.revisions.get(order.revision);
      if (known) {
        known.order = { ...known.order, replicas: order.replicas };
        scale(endpoint, known);
        return;
      }
      const revision: RunningRevision = {
        order,
        directory: join(directoryOf(order), `r${order.revision}`),
        replicas: [],
        ending: new Set(),
        next: 0,
        prepared: false,
        ended: new AbortController(),
        launched: Promise.resolve(),
        failures: 0,
      };
      endpoint.revisions.set(order.revision, revision);
      revision.launched = launch(endpoint, revision);
    },

    async observe(ref): Promise<PlatformObservation> {
      const endpoint = endpoints.get(keyOf(ref));
      if (!endpoint) return { revisions: [], weights: {} };
      const revisions = [...endpoint.revisions.values()].map(observation);
      revisions.sort((a, b) => a.revision - b.revision);
      return { revisions, weights: endpoint.weights };
    },

    async shift(ref, weights) {
      const endpoint = endpoints.get(keyOf(ref));
      const entries = Object.entries(weights).filter(([, percent]) => percent > 0);
      for (const [revision] of entries) {
        if (!endpoint?.revisions.has(Number(revision)))
          throw new Error(`revision ${revision} has not been started`);
      }
      if (!endpoint) return;
      endpoint.weights = Object.fromEntries(entries);
      endpoint.routes = undefined;
    },

    async stop(ref, number) {
      const endpoint = endpoints.get(keyOf(ref));
      const revision = endpoint?.revisions.get(number);
      if (endpoint && revision) void leave(endpoint, revision);
    },

    async withdraw(ref) {
      const key = keyOf(ref);
      const endpoint = endpoints.get(key);
      endpoints.delete(key);
      if (withdrawing.has(key)) return;
      const gone = (async () => {
        if (endpoint) await leaveAll(endpoint);
        await rm(directoryOf(ref), { recursive: true, force: true });
      })();
      withdrawing.set(key, gone);
      void gone.finally(() => withdrawing.delete(key));
    },

    async logs(ref, { revision, limit }) {
      return endpoints.get(keyOf(ref))?.lines.newest(limit, revision) ?? [];
    },

    async list() {
      const stored = (await storedEndpoints(endpointsRoot)).filter((ref) => !withdrawing.has(keyOf(ref)));
      const all = [...stored, ...[...endpoints.values()].map(({ ref }) => ref)];
      return [...new Map(all.map((ref) => [keyOf(ref), ref])).values()];
    },

    routes(ref) {
      const endpoint = endpoints.get(keyOf(ref));
      if (!endpoint) return [];
      endpoint.routes ??= [...endpoint.revisions.values()]
        .map(({ order: { revision, version }, replicas }) => ({
          revision,
          version,
          weight: endpoint.weights[revision] ?? 0,
          upstreams: replicas.flatMap(({ upstream }) => (upstream ? [upstream] : [])),
        }))
        .filter(({ weight }) => weight > 0);
      return endpoint.routes;
    },

    async close() {
      pythons?.close();
      await Promise.all([...[...endpoints.values()].map(leaveAll), ...withdrawing.values()]);
    },
  };
}

function observation(revision: RunningRevision): RevisionObservation {
  const { order, replicas, failures, lastFailure, preparing, preparedAt } = revision;
  return {
    revision: order.revision,
    desired: order.replicas,
    ready: replicas.filter(({ upstream }) => upstream !== undefined).length,
    failures,
    ...(preparing ? { preparing } : {}),
    ...(preparedAt === undefined ? {} : { preparedAt }),
    ...(lastFailure === undefined ? {} : { lastFailure }),
  };
}

const naming = (what: string) => (error: unknown) => {
  throw new Error(`${what}: ${(error as Error).message}`);
};

/** Nothing outside the environment is loaded, its packages stay as they are, and no library takes more threads. */
const pythonEnvironment = (threads: string) => ({
  PYTHONNOUSERSITE: '1',
  PYTHONDONTWRITEBYTECODE: '1',
  PYTHONUNBUFFERED: '1',
  MLFLOW_DISABLE_TELEMETRY: 'true',
  ORT_DISABLE_TELEMETRY: '1',
  OMP_NUM_THREADS: threads,
  OPENBLAS_NUM_THREADS: threads,
  MKL_NUM_THREADS: threads,
});

async function textIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

const keyOf = ({ workspace, endpoint }: EndpointRef) => `${workspace}/${endpoint}`;

/** A name as that of a directory. */
function safeName(name: string): string {
  if (name === '.' || name === '..' || name === '') throw new Error(`"${name}" cannot name a directory`);
  return encodeURIComponent(name);
}

const only = (env: NodeJS.ProcessEnv, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));

/** The endpoints that have a directory. */
async function storedEndpoints(root: string): Promise<EndpointRef[]> {
  const refs: EndpointRef[] = [];
  for (const workspace of await readdir(root)) {
    for (const endpoint of await readdir(join(root, workspace))) {
      refs.push({ workspace: decodeURIComponent(workspace), endpoint: decodeURIComponent(endpoint) });
    }
  }
  return refs;
}

async function removeRevisions(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (name !== 'logs') await rm(join(directory, name), { recursive: true, force: true });
  }
}
