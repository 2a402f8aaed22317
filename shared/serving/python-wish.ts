import { readMlmodel } from '../registry/format/mlmodel.ts';
import { namedRequirements } from './python-requirements.ts';

/** What a Python environment is to have. */
export interface PythonWish {
  /** Packages by name, one a line. */
  readonly requirements: readonly string[];
  readonly constraints: readonly string[];
  /** Such as `3.11`: what the model was logged with. */
  readonly version?: string | undefined;
}

/**
 * What Python has to have for a model that MLflow logged, and for the server. Only its text files are read.
 * @param read text of a file in the folder of its `MLmodel`; undefined when there is none
 * @param server the server's own requirements
 * @throws Error saying why it cannot be served
 */
export async function pythonWish(
  read: (name: string) => Promise<string | undefined>,
  server: string,
): Promise<PythonWish> {
  const { flavors } = readMlmodel((await read('MLmodel')) ?? '');
  if (!flavors.includes('python_function')) {
    throw new Error(`its MLmodel has no python_function flavour, only ${flavors.join(', ') || 'none'}`);
  }
  const requirements = await read('requirements.txt');
  if (requirements === undefined) throw new Error('it has no requirements.txt');
  const own = namedRequirements(requirements, await read('constraints.txt'));
  return {
    requirements: [...own.requirements, ...namedRequirements(server).requirements],
    constraints: own.constraints,
    version: /^python: ["']?(3\.\d+)/m.exec((await read('python_env.yaml')) ?? '')?.[1],
  };
}
