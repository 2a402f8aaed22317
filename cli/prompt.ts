import { createInterface } from 'node:readline/promises';
import { usageError } from './cli-error.ts';
import { readText } from './http.ts';

/** Whether a person is there to ask. */
export const isInteractive = () => Boolean(process.stdin.isTTY && process.stderr.isTTY);

/** Asks on stderr; only `y` and `yes` are yes. */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await lines.question(`${question} [y/N] `, { signal });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}

/** @throws CliError unless `--yes` was given or a person agrees */
export async function requireConsent(
  question: string,
  yes: boolean | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (yes) return;
  if (!isInteractive()) throw usageError(`${question} Nobody is there to ask.`, 'Add --yes.');
  if (!(await confirm(question, signal))) throw usageError('Nothing was done.');
}

/** A secret typed without echo on a terminal, or everything on stdin. */
export async function readSecret(label: string, signal: AbortSignal): Promise<string> {
  if (!isInteractive()) return (await readText(process.stdin, 10_000)).trim();
  process.stderr.write(label);
  const { stdin } = process;
  stdin.setRawMode(true);
  try {
    return await typedLine(signal);
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    process.stderr.write('\n');
  }
}

function typedLine(signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = '';
    const onData = (chunk: Buffer) => {
      for (const character of chunk.toString('utf8')) {
        if (character === '\r' || character === '\n' || character === '\u0004') {
          process.stdin.off('data', onData);
          return resolve(typed.trim());
        }
        if (character === '\u0003') {
          process.stdin.off('data', onData);
          // In raw mode Ctrl-C is a character.
          process.kill(process.pid, 'SIGINT');
          return reject(signal.reason ?? new Error('interrupted'));
        }
        typed = character === '\u007f' || character === '\b' ? typed.slice(0, -1) : typed + character;
      }
    };
    process.stdin.on('data', onData);
    process.stdin.resume();
  });
}
