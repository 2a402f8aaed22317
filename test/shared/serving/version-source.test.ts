import { expect, test } from 'vitest';
import { resolveTarget, type VersionSource } from '../../../shared/serving/version-source.ts';

const MODEL = { id: 'm1', name: 'churn' };

function source(paths: readonly string[], noPython?: string): VersionSource {
  return {
    noPython,
    findModel: async () => MODEL,
    findVersion: async () => ({ status: 'READY', approval: 'PENDING' }),
    listFiles: async () => paths.map((path) => ({ path, size: 1, sha256: '0', key: path })),
    resolveAlias: async () => undefined,
  };
}

const NO_PYTHON = 'set cairn:pythonServerImage';

const resolve = (python: 'with Python' | 'without', paths: readonly string[]) =>
  resolveTarget(source(paths, python === 'without' ? NO_PYTHON : undefined), 'default', MODEL, {
    target: { version: 1 },
    requireApproval: false,
  });

const SKLEARN = ['MLmodel', 'model.skops', 'requirements.txt'];

test.each([
  ['with Python', SKLEARN],
  ['with Python', ['m/MLmodel', 'm/model.pkl', 'm/requirements.txt']],
  ['with Python', ['MLmodel', 'model.onnx']],
  ['without', ['MLmodel', 'model.onnx']],
] as const)('%s %j can be deployed', async (python, paths) => {
  await expect(resolve(python, paths)).resolves.toMatchObject({ model: 'churn', version: 1 });
});

test.each([
  ['without', SKLEARN, /needs the Python runtime; set cairn:pythonServerImage/],
  ['with Python', ['MLmodel', 'model.skops'], /without requirements\.txt/],
  ['with Python', ['m/MLmodel', 'requirements.txt'], /without m\/requirements\.txt/],
  ['with Python', ['model.skops'], /no ONNX file and is no MLflow model/],
] as const)('%s %j is refused', async (python, paths, detail) => {
  await expect(resolve(python, paths)).rejects.toMatchObject({
    code: 'NOT_DEPLOYABLE',
    detail: expect.stringMatching(detail),
    field: 'target.version',
  });
});
