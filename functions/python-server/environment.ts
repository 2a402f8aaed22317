import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { PythonWish } from '../../shared/serving/python-wish.ts';
import type { Log } from '../model-server/log.ts';

interface EnvironmentOptions {
  /** The environment that the image has: a Python with the server and what was added to it. */
  readonly home: string;
  /** Where the model's own is made. */
  readonly folder: string;
  readonly log: Log;
}

/**
 * Makes a Python environment with what the model wants, on top of the one that the image has: what is there in a version that fits
 * is taken from there, without a network; the rest comes from the package index that pip is configured with (`PIP_INDEX_URL` …), as
 * wheels, of which nothing runs while they are installed.
 * @returns its interpreter
 * @throws Error saying what is missing
 */
export async function makeEnvironment(
  wish: PythonWish,
  { home, folder, log }: EnvironmentOptions,
): Promise<string> {
  const started = performance.now();
  const [version = '', packages = ''] = (await run(join(home, 'bin/python'), ['-c', ASK])).said;
  if (wish.version !== undefined && wish.version !== version) {
    log('warn', `the model was logged with Python ${wish.version}, and this image has ${version}`);
  }
  await must('Python cannot make an environment', join(home, 'bin/python'), [
    '-m',
    'venv',
    '--without-pip',
    folder,
  ]);
  const python = join(folder, 'bin/python');
  const own = (await run(python, ['-c', ASK])).said[1] ?? '';
  // Packages of the image come after the model's own, which may be of other versions; pip is among them.
  await writeFile(join(own, 'image.pth'), `${packages}\n`);
  const wanted = join(folder, 'wanted.txt');
  const constraints = join(folder, 'constraints.txt');
  await writeFile(wanted, `${wish.requirements.join('\n')}\n`);
  await writeFile(constraints, `${wish.constraints.join('\n')}\n`);
  const pip = ['-m', 'pip', 'install', '--progress-bar=off', '--no-input', '--disable-pip-version-check'];
  await must('pip cannot install what the model needs', python, [
    ...[...pip, '--only-binary=:all:', '--no-cache-dir'],
    ...['-c', constraints, '-r', wanted],
  ]);
  log('info', 'the Python environment is ready', { ms: Math.round(performance.now() - started) });
  return python;

  async function must(what: string, command: string, args: string[]): Promise<void> {
    const { code, said } = await run(command, args, (line) => {
      if (!line.startsWith('Requirement already satisfied')) log('info', line.slice(0, LINE));
    });
    if (code === 0) return;
    const errors = said.filter((line) => line.startsWith('ERROR'));
    const why = (errors.length > 0 ? errors : said.slice(-3)).map((line) => line.replace(/^ERROR:\s*/, ''));
    throw new Error(`${what}: ${why.join(' ').slice(0, LINE) || `exit ${code}`}`);
  }
}

const LINE = 600;
/** Prints which Python it is, and where its packages are. */
const ASK = `import sys, sysconfig
print("%d.%d" % sys.version_info[:2]); print(sysconfig.get_paths()["purelib"])`;

interface Ran {
  readonly code: number | null;
  readonly said: string[];
}

function run(command: string, args: string[], onLine: (line: string) => void = () => {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const said: string[] = [];
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        said.push(line);
        onLine(line);
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, said }));
  });
}

/** Text of a file, or undefined when there is none. */
export async function textIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
