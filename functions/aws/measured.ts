import process from 'node:process';
import { emfLines } from '../../shared/monitoring/emf.ts';

interface Measuring<Output> {
  /** Whether what was answered says that it went wrong. */
  readonly failed?: (output: Output) => boolean;
  /** Whether what was thrown is an answer. */
  readonly refused?: (error: unknown) => boolean;
  readonly write?: (line: string) => void;
  readonly now?: () => number;
}

/**
 * The same work, each run of it written as `Requests`, `Errors` (0 or 1) and `Latency` (ms) of the function: lines from which
 * CloudWatch Logs makes metrics. Lambda's own count no answer that tells of a failure.
 */
export function measured<Input extends unknown[], Output>(
  name: string,
  work: (...input: Input) => Output | Promise<Output>,
  { failed = () => false, refused = () => false, write = toStdout, now = Date.now }: Measuring<Output> = {},
): (...input: Input) => Promise<Output> {
  return async (...input) => {
    const at = now();
    const tell = (errors: 0 | 1) => {
      const datum = { at, dimensions: { Function: name } };
      const lines = emfLines([
        { ...datum, metric: 'Requests', values: [1], unit: 'Count' },
        { ...datum, metric: 'Errors', values: [errors], unit: 'Count' },
        { ...datum, metric: 'Latency', values: [now() - at], unit: 'Milliseconds' },
      ]);
      for (const line of lines) write(`${line}\n`);
    };
    try {
      const output = await work(...input);
      tell(failed(output) ? 1 : 0);
      return output;
    } catch (error) {
      tell(refused(error) ? 0 : 1);
      throw error;
    }
  };
}

const toStdout = (line: string) => void process.stdout.write(line);

/** Whether some of a queue's messages come again. */
export const someFailed = ({ batchItemFailures }: { batchItemFailures: readonly unknown[] }): boolean =>
  batchItemFailures.length > 0;
