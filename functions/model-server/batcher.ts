import { CairnError } from '../../shared/errors.ts';
import type { Run } from './runtime.ts';
import { joinRows, rowsOf, type Tensor, type Tensors } from './tensor.ts';

export interface Answer {
  readonly outputs: Tensors;
  /** Milliseconds that the run took which answered this request. */
  readonly model: number;
  /** Milliseconds that the request waited for it. */
  readonly queue: number;
}

export interface Batcher {
  /**
   * Runs the model on the inputs once those before are done. `abandoned` is asked when the turn comes; nothing runs
   * for a request whose client has gone.
   * @throws CairnError `ENDPOINT_NOT_READY` when too many wait, `INTERNAL` with the reason when the model fails
   */
  submit(inputs: Tensors, outputs: readonly string[], abandoned: () => boolean): Promise<Answer>;
  waiting(): number;
}

export interface BatcherOptions {
  /** Whether requests may be joined along the first dimension. */
  readonly joinable: boolean;
  readonly maxRows: number;
  readonly maxWaiting: number;
  readonly onRun: (milliseconds: number, rows: number) => void;
  /** Joined runs turned out not to give an answer for each row: from now on requests run alone. */
  readonly onUnjoinable: (why: string) => void;
}

interface Job {
  readonly inputs: Tensors;
  readonly outputs: readonly string[];
  readonly rows: number;
  readonly abandoned: () => boolean;
  readonly at: number;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/**
 * Dynamic micro-batching: one run at a time; requests that came meanwhile and whose shapes agree but for the first
 * dimension are run together next. Nobody waits for a batch to fill. A joined run that fails is repeated one by one,
 * so that a request only ever fails by its own inputs.
 */
export function createBatcher(run: Run, options: BatcherOptions): Batcher {
  const queue: Job[] = [];
  let joinable = options.joinable && options.maxRows > 1;
  let running = false;

  async function work(): Promise<void> {
    running = true;
    for (let batch = next(); batch !== undefined; batch = next()) {
      if (batch.length === 1) await runAlone(batch[0] as Job);
      else await runJoined(batch);
    }
    running = false;
  }

  function next(): Job[] | undefined {
    let first = queue.shift();
    while (first?.abandoned()) {
      first.reject(new CairnError('INTERNAL', 'the client has gone'));
      first = queue.shift();
    }
    if (first === undefined) return undefined;
    if (!joinable || queue.length === 0) return [first];
    return [first, ...takeAlike(first)];
  }

  function takeAlike(first: Job): Job[] {
    const alike = likeness(first);
    if (alike === undefined) return [];
    const taken: Job[] = [];
    let rows = first.rows;
    for (let n = 0; n < queue.length && rows < options.maxRows; ) {
      const job = queue[n] as Job;
      if (rows + job.rows > options.maxRows || likeness(job) !== alike || job.abandoned()) {
        n++;
        continue;
      }
      rows += job.rows;
      taken.push(job);
      queue.splice(n, 1);
    }
    return taken;
  }

  async function runAlone(job: Job): Promise<void> {
    const queued = performance.now() - job.at;
    try {
      const { outputs, milliseconds } = await run(job.inputs, job.outputs);
      options.onRun(milliseconds, job.rows);
      job.resolve({ outputs, model: milliseconds, queue: queued });
    } catch (error) {
      job.reject(new CairnError('INTERNAL', `the model failed: ${(error as Error).message}`));
    }
  }

  async function runJoined(batch: readonly Job[]): Promise<void> {
    const start = performance.now();
    const names = [...new Set(batch.flatMap((job) => job.outputs))];
    const rows = batch.reduce((sum, job) => sum + job.rows, 0);
    const inputs = Object.fromEntries(
      Object.keys((batch[0] as Job).inputs).map((name) => [
        name,
        joinRows(batch.map((job) => job.inputs[name] as Tensor)),
      ]),
    );
    let result: Awaited<ReturnType<Run>> | undefined;
    try {
      result = await run(inputs, names);
    } catch {
      // Whose inputs made it fail shows when they run alone.
    }
    const odd = result && names.find((name) => result.outputs[name]?.shape[0] !== rows);
    if (odd !== undefined) {
      joinable = false;
      options.onUnjoinable(
        `${rows} rows gave output "${odd}" of shape ${JSON.stringify(result?.outputs[odd]?.shape)}`,
      );
    }
    if (result === undefined || odd !== undefined) {
      for (const job of batch) await runAlone(job);
      return;
    }
    options.onRun(result.milliseconds, rows);
    let from = 0;
    for (const job of batch) {
      const to = from + job.rows;
      const outputs: Record<string, Tensor> = {};
      for (const name of job.outputs) outputs[name] = rowsOf(result.outputs[name] as Tensor, from, to);
      job.resolve({ outputs, model: result.milliseconds, queue: start - job.at });
      from = to;
    }
  }

  return {
    waiting: () => queue.length,
    submit(inputs, outputs, abandoned) {
      if (queue.length >= options.maxWaiting) {
        throw new CairnError('ENDPOINT_NOT_READY', `${queue.length} requests are waiting already`);
      }
      return new Promise((resolve, reject) => {
        const rows = Object.values(inputs)[0]?.shape[0] ?? 0;
        queue.push({ inputs, outputs, rows, abandoned, at: performance.now(), resolve, reject });
        if (!running) void work();
      });
    },
  };
}

/** Equal for requests that can be joined; undefined for one whose inputs do not have the same number of rows. */
function likeness(job: Job): string | undefined {
  if (job.rows === 0) return undefined;
  const names = Object.keys(job.inputs).sort();
  if (names.some((name) => job.inputs[name]?.shape[0] !== job.rows)) return undefined;
  return JSON.stringify(names.map((name) => [name, job.inputs[name]?.shape.slice(1)]));
}
