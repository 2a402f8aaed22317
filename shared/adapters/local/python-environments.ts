import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PythonWish } from '../../serving/python-wish.ts';
import type { ProcessLedger } from './process-ledger.ts';
import { lineSplitter } from './replica-log.ts';

export interface PythonEnvironments {
  /**
   * The interpreter of an environment with exactly these packages: one that is there, or a new one.
   * @throws Error saying what is missing
   */
  interpreterFor(wish: PythonWish, onLine: (line: string) => void): Promise<string>;
  /** Ends what is being installed. */
  close(): void;
}

/** Written last: an environment without it was not finished. */
const DONE = 'cairn-requirements.txt';
const KEPT_DAYS = 30;
const ERROR_LENGTH = 600;
/** Of making an environment, for one program. */
const LONGEST_MINUTES = 60;

/** Nothing of Cairn's own is among them. pip's settings, proxies and certificates are the machine's owner's. */
const PASSED_ON =
  /^(PATH|LANG|HOME|TMPDIR|PIP_.*|XDG_(CONFIG|CACHE)_.*|(https?|all|no)_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE)$/i;

/**
 * Python environments below the directory, each named by the hash of its interpreter and its packages. Packages come as
 * wheels, of which nothing runs while they are installed. Those not used for 30 days go when it is opened.
 */
export async function openPythonEnvironments(
  directory: string,
  ledger: ProcessLedger,
): Promise<PythonEnvironments> {
  const making = new Map<string, Promise<void>>();
  const closed = new AbortController();
  await removeOld(directory);

  async function interpreterFor(wish: PythonWish, onLine: (line: string) => void): Promise<string> {
    const base = await findPython(wish.version);
    const names = [...wish.requirements, ...wish.constraints.map((line) => `-c ${line}`)].join('\n');
    const digest = createHash('sha256').update(`${base.identity}\n${names}\n`).digest('hex');
    const folder = join(directory, digest.slice(0, 32));
    const interpreter = join(folder, 'bin/python');
    let made = making.get(folder);
    if (!made) {
      if (existsSync(join(folder, DONE))) {
        const now = new Date();
        await utimes(join(folder, DONE), now, now);
        return interpreter;
      }
      made = make(folder, base.path, wish, names, onLine).finally(() => making.delete(folder));
      making.set(folder, made);
    } else onLine('Waits for its Python environment, which is being made.');
    await made;
    return interpreter;
  }

  async function make(
    folder: string,
    python: string,
    wish: PythonWish,
    names: string,
    onLine: (line: string) => void,
  ): Promise<void> {
    onLine(`Makes the Python environment of ${wish.requirements.join(', ')}.`);
    await rm(folder, { recursive: true, force: true });
    await mkdir(directory, { recursive: true });
    await step(
      'Python cannot make an environment (is its venv module installed?)',
      python,
      ['-m', 'venv', folder],
      onLine,
    );
    const wanted = join(folder, 'wanted.txt');
    const constraints = join(folder, 'constraints.txt');
    await writeFile(wanted, `${wish.requirements.join('\n')}\n`);
    await writeFile(constraints, `${wish.constraints.join('\n')}\n`);
    const options = [
      '--quiet',
      '--no-input',
      '--progress-bar=off',
      '--disable-pip-version-check',
      '--only-binary=:all:',
    ];
    const pip = ['-m', 'pip', 'install', ...options, '-c', constraints, '-r', wanted];
    await step('pip cannot install what the model needs', join(folder, 'bin/python'), pip, onLine);
    await writeFile(join(folder, DONE), `${names}\n`);
    onLine('The Python environment is ready.');
  }

  /** @throws Error with what the program said when it fails */
  async function step(
    what: string,
    command: string,
    args: string[],
    onLine: (line: string) => void,
  ): Promise<void> {
    const said: string[] = [];
    const code = await new Promise<number | string>((resolve, reject) => {
      const child = spawn(command, args, {
        cwd: directory,
        env: Object.fromEntries(Object.entries(process.env).filter(([name]) => PASSED_ON.test(name))),
        stdio: ['ignore', 'pipe', 'pipe'],
        signal: AbortSignal.any([closed.signal, AbortSignal.timeout(LONGEST_MINUTES * 60_000)]),
      });
      const { pid } = child;
      if (pid !== undefined) void ledger.add(pid);
      for (const stream of [child.stdout, child.stderr]) {
        const read = lineSplitter((line) => {
          onLine(line.slice(0, ERROR_LENGTH));
          said.push(line);
        });
        stream.setEncoding('utf8').on('data', read);
      }
      child.on('error', (error) => {
        const why =
          error.name === 'AbortError'
            ? `it was ended, at the latest after ${LONGEST_MINUTES} minutes`
            : error.message;
        reject(new Error(`${what}: ${why}`));
      });
      child.on('close', (exit, signal) => {
        if (pid !== undefined) ledger.remove(pid);
        resolve(exit ?? signal ?? 'unknown');
      });
    });
    if (code === 0) return;
    const errors = said.filter((line) => line.startsWith('ERROR'));
    const why = (errors.length > 0 ? errors : said.slice(-3)).map((line) => line.replace(/^ERROR:\s*/, ''));
    throw new Error(`${what}: ${withoutVersions(why.join(' ')).slice(0, ERROR_LENGTH) || `exit ${code}`}`);
  }

  return { interpreterFor, close: () => closed.abort() };
}

/** pip lists every version there is, which hides what it says. */
const withoutVersions = (text: string) => text.replace(/\(from versions: [^)]{80,}\)/g, '');

interface FoundPython {
  readonly path: string;
  /** Differs from that of any other interpreter. */
  readonly identity: string;
}

async function findPython(version: string | undefined): Promise<FoundPython> {
  const names = [...(version === undefined ? [] : [`python${version}`]), 'python3', 'python'];
  for (const path of names) {
    const identity = await askPython(path);
    if (identity !== undefined) return { path, identity };
  }
  throw new Error(`there is no Python on this machine: none of ${names.join(', ')} is on the PATH`);
}

/** Where the interpreter is and what it is, if it runs and is Python 3. */
function askPython(command: string): Promise<string | undefined> {
  const script = 'import sys; assert sys.version_info[0] == 3; print(sys.base_prefix, sys.version)';
  return new Promise((resolve) => {
    const child = spawn(command, ['-c', script], {
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
    });
    child.on('error', () => resolve(undefined));
    child.on('close', (code) => resolve(code === 0 ? said.trim() : undefined));
  });
}

async function removeOld(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names) {
    const used = await stat(join(directory, name, DONE)).catch(() => undefined);
    if (used && Date.now() - used.mtimeMs < KEPT_DAYS * 24 * 3_600_000) continue;
    await rm(join(directory, name), { recursive: true, force: true });
  }
}
