import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { CairnError } from '../../shared/errors.ts';
import { detectFormat } from '../../shared/registry/format/detect.ts';
import { readOnnxSignature } from '../../shared/registry/format/onnx.ts';
import type { TensorSpec } from '../../shared/registry/format/signature.ts';
import type { Log } from './log.ts';
import { loadRuntime, type Run, type Runtime } from './runtime.ts';
import { loadRuntimeThread } from './runtime-thread.ts';
import type { Settings } from './settings.ts';
import { type Datatype, isDatatype } from './tensor.ts';
import type { ListedFile } from './verify-files.ts';
import { rowsAreIndependent, zeros } from './warm-up.ts';

/** An input or output that can be served. */
export interface Port extends TensorSpec {
  readonly datatype: Datatype;
}

/** A model that is loaded and warm. */
export interface Model {
  readonly name: string;
  readonly version: string;
  readonly inputs: ReadonlyMap<string, Port>;
  readonly outputs: ReadonlyMap<string, Port>;
  readonly run: Run;
  /** Whether requests may be joined along the first dimension. */
  readonly joinable: boolean;
}

/** A run that takes longer would keep the event loop from health checks and from reading requests that wait. */
const SHORT_RUN_MS = 2;
/** Larger models go to a thread at once: loading them twice to find out would take long. */
const SMALL_MODEL_BYTES = 64 * 1024 * 1024;

/**
 * Loads the ONNX model among the files and warms it up. With `CAIRN_RUN_IN=auto` it stays in the main thread, which
 * saves 0.05 to 0.15 ms a request, when it is small, its warm runs take less than 2 ms and no dimension but the first varies.
 * @throws CairnError `NOT_DEPLOYABLE`, `MODEL_FILE_INVALID`
 */
export async function loadModel(settings: Settings, files: readonly ListedFile[], log: Log): Promise<Model> {
  const file = onnxFile(files);
  const path = join(settings.CAIRN_MODEL_DIR, file.path);
  const { inputs, outputs } = await readPorts(path, file.size, log);
  const specs = [...inputs.values()];
  const names = [...outputs.keys()];

  const { runtime, where } = await place(path, files, settings, (candidate) =>
    warmUp(candidate, specs, names, log),
  );
  const joinable =
    settings.CAIRN_BATCH_MAX > 1 &&
    (await rowsAreIndependent(runtime.run, specs, [...outputs.values()], (why) =>
      log('info', `batching is off: ${why}`),
    ));
  log('info', 'model loaded', { file: file.path, thread: where, batching: joinable });
  return {
    name: settings.CAIRN_MODEL_NAME,
    version: settings.CAIRN_MODEL_VERSION,
    inputs,
    outputs,
    run: runtime.run,
    joinable,
  };
}

function onnxFile(files: readonly ListedFile[]): ListedFile {
  const models = files.filter((file) => file.path.toLowerCase().endsWith('.onnx'));
  const { entry } = detectFormat(models);
  const file = models.find((candidate) => candidate.path === entry);
  if (file !== undefined) return file;
  const found =
    models.length === 0 ? 'it has none' : `it has ${models.map((model) => `"${model.path}"`).join(', ')}`;
  throw new CairnError(
    'NOT_DEPLOYABLE',
    `A version needs one .onnx file, or one named model.onnx; ${found}.`,
  );
}

async function readPorts(path: string, size: number, log: Log) {
  await using handle = await open(path);
  const read = async (start: number, end: number) => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(end - start), 0, end - start, start);
    return buffer.subarray(0, bytesRead);
  };
  const signature = await readOnnxSignature(read, size);
  const unserved = signature.inputs.find((input) => !isPort(input));
  if (unserved !== undefined) {
    const detail = `Input "${unserved.name}" is of type ${unserved.datatype}, which the Open Inference Protocol cannot carry.`;
    throw new CairnError('NOT_DEPLOYABLE', detail);
  }
  for (const output of signature.outputs) {
    if (!isPort(output))
      log('warn', `output "${output.name}" is left out: ${output.datatype} cannot be sent`);
  }
  return {
    inputs: byName(signature.inputs.filter(isPort)),
    outputs: byName(signature.outputs.filter(isPort)),
  };
}

const isPort = (spec: TensorSpec): spec is Port => isDatatype(spec.datatype);
const byName = (ports: readonly Port[]) => new Map(ports.map((port) => [port.name, port]));

/** Chooses the thread, loads the model there and warms it up. */
async function place(
  path: string,
  files: readonly ListedFile[],
  settings: Settings,
  warm: (runtime: Runtime) => Promise<number>,
): Promise<{ runtime: Runtime; where: 'main' | 'worker' }> {
  const { CAIRN_RUN_IN: runIn, CAIRN_THREADS: threads } = settings;
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  if (runIn === 'main' || (runIn === 'auto' && bytes <= SMALL_MODEL_BYTES)) {
    const runtime = await loadRuntime(path, threads);
    const milliseconds = await warm(runtime);
    if (runIn === 'main' || milliseconds < SHORT_RUN_MS) return { runtime, where: 'main' };
    await runtime.close();
  }
  const runtime = await loadRuntimeThread(path, threads);
  await warm(runtime);
  return { runtime, where: 'worker' };
}

const WARM_UP_RUNS = 4;

/**
 * Runs the model on zeros: the first run allocates what later ones use. Returns the last run's milliseconds, Infinity
 * if zeros cannot tell: they do not fit this model, or its runs depend on sizes that only requests know.
 */
async function warmUp(
  { run }: Runtime,
  inputs: readonly Port[],
  outputs: readonly string[],
  log: Log,
): Promise<number> {
  let milliseconds = Number.POSITIVE_INFINITY;
  try {
    for (let n = 0; n < WARM_UP_RUNS; n++) milliseconds = (await run(zeros(inputs), outputs)).milliseconds;
  } catch (error) {
    log('warn', `warm-up left out, zeros do not fit this model: ${(error as Error).message}`);
    return Number.POSITIVE_INFINITY;
  }
  const varies = inputs.some(({ shape }) => shape === undefined || shape.slice(1).includes(-1));
  return varies ? Number.POSITIVE_INFINITY : milliseconds;
}
