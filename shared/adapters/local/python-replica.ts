import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readMlmodel } from '../../registry/format/mlmodel.ts';
import type { PythonWish } from './python-environments.ts';
import { namedRequirements } from './python-requirements.ts';

/**
 * What Python has to have for the MLflow model in the folder, and for the server. Only its text files are read here.
 * @param server the server's own requirements
 * @throws Error saying why it cannot be served
 */
export async function pythonFor(folder: string, server: string): Promise<PythonWish> {
  const { flavors } = readMlmodel(await readFile(join(folder, 'MLmodel'), 'utf8'));
  if (!flavors.includes('python_function')) {
    throw new Error(`its MLmodel has no python_function flavour, only ${flavors.join(', ') || 'none'}`);
  }
  const own = namedRequirements(
    await readFile(join(folder, 'requirements.txt'), 'utf8'),
    await readFile(join(folder, 'constraints.txt'), 'utf8').catch(() => undefined),
  );
  const pyenv = await readFile(join(folder, 'python_env.yaml'), 'utf8').catch(() => '');
  return {
    requirements: [...own.requirements, ...namedRequirements(server).requirements],
    constraints: own.constraints,
    version: /^python: ["']?(3\.\d+)/m.exec(pyenv)?.[1],
  };
}
