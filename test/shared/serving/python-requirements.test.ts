import { expect, test } from 'vitest';
import { namedRequirements } from '../../../shared/serving/python-requirements.ts';

test('packages by name are taken, with versions, extras, markers and comments', () => {
  const text = [
    '# what it needs',
    'mlflow==3.17.2',
    'torch==2.1.0+cpu  # without a GPU',
    'uvicorn[standard] >= 0.30, <1',
    'numpy~=2.0; python_version >= "3.11"',
    'pandas',
    '',
  ].join('\r\n');
  expect(namedRequirements(text)).toEqual({
    requirements: [
      'mlflow==3.17.2',
      'torch==2.1.0+cpu',
      'uvicorn[standard] >= 0.30, <1',
      'numpy~=2.0; python_version >= "3.11"',
      'pandas',
    ],
    constraints: [],
  });
});

test('the constraints that MLflow writes beside them are taken', () => {
  expect(namedRequirements('mlflow\n-c constraints.txt\n', 'numpy<2\n')).toEqual({
    requirements: ['mlflow'],
    constraints: ['numpy<2'],
  });
  expect(() => namedRequirements('mlflow\n-c constraints.txt')).toThrow('which is not there');
});

test.each([
  '-r /etc/passwd',
  '-c ../other/constraints.txt',
  '-e .',
  '--index-url https://example.org/simple',
  'thing @ https://example.org/thing.whl',
  'thing@file:///root/thing',
  'git+https://example.org/thing.git',
  './thing',
  '/root/thing.whl',
  'thing==1 --hash=sha256:00',
  'thing \\',
])('%s is refused', (line) => {
  expect(() => namedRequirements(`mlflow\n${line}`)).toThrow(
    /^requirements\.txt has the line .* only packages by name/,
  );
  expect(() => namedRequirements('-c constraints.txt', line)).toThrow(/^constraints\.txt has the line/);
});
