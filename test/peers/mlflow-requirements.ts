/** The newest version that was tried, and one of the first with logged models. */
export const NEWEST = '3.17.2';
export const OLDER = '3.4.0';

/** What the scripts beside this file need of Python. */
export const requirements = (mlflow: string) =>
  [
    `mlflow==${mlflow}`,
    'scikit-learn==1.9.1',
    'lightgbm==4.7.0',
    'onnx==1.23.2',
    'onnxruntime==1.32.0',
    '',
  ].join('\n');
