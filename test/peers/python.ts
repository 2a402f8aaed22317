import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const PEERS = fileURLToPath(new URL('../../.peers/', import.meta.url));

interface Options {
  /** Another interpreter than the usual one, whose own packages the environment sees. */
  readonly over?: string;
  /** Packages that are installed without what they say they need, one a line. */
  readonly bare?: string;
}

/**
 * The interpreter of a Python environment with exactly these requirements (one a line), made once under `.peers/`, and anew
 * when it is half made, was moved or copied here, or its Python is gone.
 * @throws Error saying what is missing; a test that needs it fails, it is never left out
 */
export async function pythonEnv(
  name: string,
  requirements: string,
  { over, bare }: Options = {},
): Promise<string> {
  const digest = createHash('sha256')
    .update(requirements + (bare ?? ''))
    .digest('hex')
    .slice(0, 12);
  const folder = join(PEERS, `${name}-${digest}`);
  const python = join(folder, 'bin/python');
  const done = join(folder, 'requirements.txt');
  if (existsSync(done) && (await isUsable(folder))) return python;
  await rm(folder, { recursive: true, force: true });
  await step('This test needs python3 with venv', over ?? 'python3', [
    '-m',
    'venv',
    ...(over === undefined ? [] : ['--system-site-packages']),
    folder,
  ]);
  const wanted = join(folder, 'wanted.txt');
  await writeFile(wanted, requirements);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  await step(`This test needs the Python packages of "${name}"`, python, [...pip, '-r', wanted]);
  if (bare !== undefined) {
    const more = [...pip, '--no-deps', ...bare.split('\n').filter((line) => line !== '')];
    await step(`This test needs the Python packages of "${name}"`, python, more);
  }
  await writeFile(done, requirements);
  return python;
}

/** Scripts name their interpreter by its path, and packages are found below its version. */
async function isUsable(folder: string): Promise<boolean> {
  try {
    const pip = await readFile(join(folder, 'bin/pip'), 'utf8');
    const { stdout } = await exec(join(folder, 'bin/python'), ['-c', 'import pip; print(pip.__file__)']);
    return pip.includes(`${folder}/bin/python`) && stdout.startsWith(`${folder}/`);
  } catch {
    return false;
  }
}

async function step(needs: string, command: string, args: string[]): Promise<void> {
  try {
    await exec(command, args, { maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new Error(`${needs}: ${stderr?.trim() || message}`);
  }
}

/** Runs a script beside this file (or by its path) with these arguments; what it printed. */
export async function runPython(python: string, script: string, args: readonly string[]): Promise<string> {
  const path = fileURLToPath(new URL(script, import.meta.url));
  const { stdout } = await exec(python, [path, ...args], { maxBuffer: 256 * 1024 * 1024 });
  return stdout;
}
