import { expect, test } from 'vitest';
import { resolveTarget, type VersionSource } from '../../../shared/serving/version-source.ts';

const MODEL = { id: 'm1', name: 'churn' };

function source(paths: readonly string[]): VersionSource {
  return {
    findModel: async () => MODEL,
    findVersion: async () => ({ status: 'READY', approval: 'PENDING' }),
    listFiles: async () => paths.map((path) => ({ path, size: 1, sha256: '0', key: path })),
    resolveAlias: async () => undefined,
  };
}

const resolve = (platform: 'process' | 'ecs', paths: readonly string[]) =>
  resolveTarget(source(paths), 'default', MODEL, {
    platform,
    target: { version: 1 },
    requireApproval: false,
  });

const SKLEARN = ['MLmodel', 'model.skops', 'requirements.txt'];

test.each([
  ['process', SKLEARN],
  ['process', ['m/MLmodel', 'm/model.pkl', 'm/requirements.txt']],
  ['process', ['MLmodel', 'model.onnx']],
  ['ecs', ['MLmodel', 'model.onnx']],
] as const)('on %s %j can be deployed', async (platform, paths) => {
  await expect(resolve(platform, paths)).resolves.toMatchObject({ model: 'churn', version: 1 });
});

test.each([
  ['ecs', SKLEARN, /Python runtime; ECS runs ONNX models only/],
  ['process', ['MLmodel', 'model.skops'], /without requirements\.txt/],
  ['process', ['m/MLmodel', 'requirements.txt'], /without m\/requirements\.txt/],
  ['process', ['model.skops'], /no ONNX file and is no MLflow model/],
] as const)('on %s %j is refused', async (platform, paths, detail) => {
  await expect(resolve(platform, paths)).rejects.toMatchObject({
    code: 'NOT_DEPLOYABLE',
    detail: expect.stringMatching(detail),
    field: 'target.version',
  });
});
