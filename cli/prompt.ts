import { createInterface } from 'node:readline/promises';
import { CliError, EXIT, usageError } from './cli-error.ts';
import { readText } from './http.ts';

/** Whether a person is there to ask. */
export const isInteractive = () => Boolean(process.stdin.isTTY && process.stderr.isTTY);

/** On a terminal that is read key by key, Ctrl-C is a character and no signal. */
const interrupted = () => new CliError({ code: 'INTERRUPTED', detail: 'Interrupted.' }, EXIT.interrupted);

/** Asks on stderr; only `y` and `yes` are yes. */
async function confirm(question: string): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await new Promise<string>((resolve, reject) => {
      lines.question(`${question} [y/N] `).then(resolve, reject);
      lines.on('SIGINT', () => reject(interrupted()));
      lines.on('close', () => resolve(''));
    });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}

/** @throws CliError unless `--yes` was given or a person agrees */
export async function requireConsent(question: string, yes: boolean | undefined): Promise<void> {
  if (yes) return;
  if (!isInteractive()) throw usageError(`${question} Nobody is there to ask.`, 'Add --yes.');
  if (!(await confirm(question))) throw new CliError({ code: 'DECLINED', detail: 'Nothing was done.' });
}

/** A secret typed without echo on a terminal, or everything on stdin. */
export async function readSecret(label: string): Promise<string> {
  if (!isInteractive()) return (await readText(process.stdin, 10_000)).trim();
  process.stderr.write(label);
  const { stdin } = process;
  stdin.setRawMode(true);
  try {
    return await typedLine();
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    process.stderr.write('\n');
  }
}

function typedLine(): Promise<string> {
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
          return reject(interrupted());
        }
        typed = character === '\u007f' || character === '\b' ? typed.slice(0, -1) : typed + character;
      }
    };
    process.stdin.on('data', onData);
    process.stdin.resume();
  });
}
