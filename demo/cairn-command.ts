import { spawn } from 'node:child_process';
import { basename, join } from 'node:path';
import { say } from './story.ts';

const COMMAND = join(import.meta.dirname, '../dist/cairn.js');

/** Runs the `cairn` command as a person would, showing it and what it says. @throws Error when it does not exit with 0 */
export async function cairn(...args: string[]): Promise<void> {
  say(`  $ cairn ${args.map((arg) => (arg.startsWith('/') ? basename(arg) : quoted(arg))).join(' ')}`);
  await run(args, (line) => say(`    ${line}`));
}

/** What a command answers with `--json`. */
export async function json(...args: string[]): Promise<unknown> {
  const lines: string[] = [];
  await run([...args, '--json'], (line) => lines.push(line));
  return JSON.parse(lines.join('\n'));
}

function run(args: readonly string[], onLine: (line: string) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [COMMAND, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) eachLine(stream, onLine);
    child.once('error', reject);
    child.once('close', (code) =>
      code === 0 ? resolve() : reject(new Error(`cairn ${args[0]} exited with ${code}`)),
    );
  });
}

function eachLine(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    lines.forEach(onLine);
  });
  stream.once('end', () => rest !== '' && onLine(rest));
}

const quoted = (arg: string) => (/\s/.test(arg) ? `'${arg}'` : arg);
