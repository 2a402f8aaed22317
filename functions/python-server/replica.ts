import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface PythonReplica {
  /** Where it listens, on this machine alone. */
  readonly port: number;
  /** What it exits with. */
  readonly ended: Promise<number | null>;
  /** Lets it finish. */
  end(): Promise<void>;
}

/**
 * Starts main.py with its interpreter, and waits until the model is loaded. What it writes is passed on.
 * @throws ReplicaError when it ends before
 */
export async function startReplica(
  command: readonly [string, ...string[]],
  options: {
    readonly cwd: string;
    readonly env: Readonly<Record<string, string>>;
    readonly write: (line: string) => void;
  },
): Promise<PythonReplica> {
  const { cwd, env, write } = options;
  const [file, ...args] = command;
  const child: ChildProcess = spawn(file, args, { cwd, env, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close').then(([code]) => code as number | null);
  const port = await new Promise<number>((resolve, reject) => {
    if (child.stdout) {
      createInterface({ input: child.stdout }).on('line', (line) => {
        const ready = readyPort(line);
        if (ready === undefined) write(`${line}\n`);
        else resolve(ready);
      });
    }
    child.on('error', reject);
    void ended.then((code) => reject(new ReplicaError(code ?? 1)));
  });
  return {
    port,
    ended,
    async end() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** It ended before it was ready, with this exit code; its lines say why. */
export class ReplicaError extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`the Python process ended with ${code}`);
    this.code = code;
  }
}

function readyPort(line: string): number | undefined {
  if (!line.startsWith('{"ready"')) return undefined;
  const { ready, port } = JSON.parse(line) as { ready?: unknown; port?: unknown };
  return ready === true && typeof port === 'number' ? port : undefined;
}

/** What a Python process is told; nothing of this one's environment but what is listed here. */
export function replicaEnvironment(
  outer: NodeJS.ProcessEnv,
  own: Readonly<Record<string, string>>,
  threads: number,
): Record<string, string> {
  const passed = ['PATH', 'LANG', 'LC_ALL', 'TZ'].flatMap((name) => {
    const value = outer[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(passed),
    PYTHONNOUSERSITE: '1',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONUNBUFFERED: '1',
    MLFLOW_DISABLE_TELEMETRY: 'true',
    ORT_DISABLE_TELEMETRY: '1',
    OMP_NUM_THREADS: String(threads),
    OPENBLAS_NUM_THREADS: String(threads),
    MKL_NUM_THREADS: String(threads),
    ...own,
  };
}
