import { expect, test } from 'vitest';
import type { EcsPlatformOptions } from '../../../../shared/adapters/aws/ecs-options.ts';
import { taskDefinition } from '../../../../shared/adapters/aws/ecs-task-definition.ts';
import type { RolloutOrder } from '../../../../shared/ports/serving-platform.ts';

const GIB = 2 ** 30;
const OPTIONS = {
  region: 'us-east-1',
  executionRole: 'execution',
  taskRole: 'task',
  image: 'onnx-image',
  logGroup: 'cairn-models',
  filesUrl: 'http://files.example:8081',
} as EcsPlatformOptions;
const PYTHON = { ...OPTIONS, pythonImage: 'python-image', pythonIndex: 'https://index.example/simple' };

const made = (paths: readonly string[], options: EcsPlatformOptions, size = 10) => {
  const order = {
    workspace: 'default',
    endpoint: 'churn',
    revision: 3,
    model: 'churn',
    version: 4,
    files: paths.map((path) => ({ path, size, sha256: 'a'.repeat(64), key: path })),
    resources: { cpu: 1, memoryMiB: 2048 },
  } as unknown as RolloutOrder;
  const { containerDefinitions = [], ephemeralStorage } = taskDefinition(order, 'token', options);
  const { image, environment = [] } = containerDefinitions[0] ?? {};
  const told = Object.fromEntries(environment.map(({ name, value }) => [name, value]));
  return { image, told, ephemeralStorage };
};

test('a version with an ONNX file runs in the model server’s image', () => {
  const { image, told } = made(['MLmodel', 'requirements.txt', 'model.onnx'], PYTHON);
  expect(image).toBe('onnx-image');
  expect(told).not.toHaveProperty('CAIRN_MODEL_ENTRY');
  expect(told).not.toHaveProperty('PIP_INDEX_URL');
});

test('one that MLflow logged without it runs in the image for Python, which is told its folder and the index', () => {
  const { image, told } = made(['m/MLmodel', 'm/requirements.txt', 'm/model.pkl'], PYTHON);
  expect(image).toBe('python-image');
  expect(told).toMatchObject({
    CAIRN_MODEL_ENTRY: 'm',
    PIP_INDEX_URL: 'https://index.example/simple',
    CAIRN_FILES_TOKEN: 'token',
    CAIRN_FILES_URL: 'http://files.example:8081/revisions/default/churn/3/files',
  });
});

test('its environment has room beside its files', () => {
  const files = ['MLmodel', 'requirements.txt'];
  expect(made(files, PYTHON).ephemeralStorage).toBeUndefined();
  expect(made(files, PYTHON, 4 * GIB).ephemeralStorage).toEqual({ sizeInGiB: 21 });
});

test('without an image for Python there is no task for it', () => {
  expect(() => made(['MLmodel', 'requirements.txt'], OPTIONS)).toThrow('cairn:pythonServerImage');
});
