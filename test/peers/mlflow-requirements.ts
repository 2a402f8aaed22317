/** The newest version that was tried, and one of the first with logged models. */
export const NEWEST = '3.17.2';
export const OLDER = '3.4.0';

/**
 * What sentence-transformers needs to run on Debian's torch 1.13, which it does not find by itself. `wordllama` ships
 * a model of 16 MB: the embeddings of words and their tokenizer.
 */
export const EMBEDDING_REQUIREMENTS = [
  `mlflow==${NEWEST}`,
  'numpy==1.26.4',
  'scikit-learn==1.6.1',
  'tokenizers==0.20.3',
  'safetensors==0.5.3',
  'huggingface-hub==0.26.5',
  'regex==2024.11.6',
  'tqdm==4.67.1',
  'filelock==3.16.1',
  'Pillow==11.0.0',
  '',
].join('\n');
export const EMBEDDING_BARE = [
  'transformers==4.46.3',
  'sentence-transformers==3.3.1',
  'wordllama==0.3.3.post0',
  '',
].join('\n');
export const DEBIAN_PYTHON = '/usr/bin/python3';

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
