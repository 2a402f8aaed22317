import { InferenceSession, Tensor as RuntimeTensor } from 'onnxruntime-node';
import { DATATYPES, type Datatype, type Tensor, type TensorData, type Tensors } from './tensor.ts';

// From 1.29 on it tells its makers what it runs, and marks the machine with an id, unless this is set before its first session.
process.env.ORT_DISABLE_TELEMETRY = '1';

/** Runs the model once. Rejects with ONNX Runtime's message when the model cannot run on these tensors. */
export type Run = (inputs: Tensors, outputs: readonly string[]) => Promise<RunResult>;

export interface RunResult {
  readonly outputs: Tensors;
  /** What the run itself took. */
  readonly milliseconds: number;
}

export interface Runtime {
  readonly run: Run;
  close(): Promise<void>;
}

const DATATYPE_OF = new Map<string, Datatype>(
  Object.entries(DATATYPES).map(([datatype, { runtime }]) => [runtime, datatype as Datatype]),
);

takeHalvesAsBits();

/** Loads an ONNX file into this thread, on the CPU. Runs block the thread. */
export async function loadRuntime(path: string, threads: number): Promise<Runtime> {
  const session = await InferenceSession.create(path, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // Fatal only: a failing run throws, and the caller logs it.
    logSeverityLevel: 4,
    // Replicas share the machine: waiting threads sleep, they do not spin.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  return {
    async run(inputs, outputs) {
      const feeds: Record<string, RuntimeTensor> = {};
      for (const name in inputs) feeds[name] = toRuntime(inputs[name] as Tensor);
      const start = performance.now();
      const fetched = await session.run(feeds, outputs);
      const milliseconds = performance.now() - start;
      const answer: Record<string, Tensor> = {};
      for (const name of outputs) answer[name] = fromRuntime(fetched[name] as RuntimeTensor);
      return { outputs: answer, milliseconds };
    },
    close: () => session.release(),
  };
}

function toRuntime({ datatype, shape, data }: Tensor): RuntimeTensor {
  return new RuntimeTensor(DATATYPES[datatype].runtime as never, data as never, shape);
}

function fromRuntime(tensor: RuntimeTensor): Tensor {
  const datatype = DATATYPE_OF.get(tensor.type);
  if (datatype === undefined)
    throw new Error(`an output is of the type ${tensor.type}, which cannot be sent`);
  return { datatype, shape: tensor.dims, data: tensor.data as TensorData };
}

/**
 * onnxruntime-common maps float16 to Float16Array where the engine has it, decided once when the first tensor is made;
 * onnxruntime-node 1.30's binding takes only Uint16Array for it ("not enough space: expected 128, got 0").
 */
function takeHalvesAsBits(): void {
  const halves = Object.getOwnPropertyDescriptor(globalThis, 'Float16Array');
  if (halves === undefined) return;
  Reflect.deleteProperty(globalThis, 'Float16Array');
  new RuntimeTensor('bool', [true], [1]);
  Object.defineProperty(globalThis, 'Float16Array', halves);
}
