/** What a version's files are, as far as their names tell. Nothing is ever deserialised. */
export interface DetectedFormat {
  /** What made it or loads it: `onnx`, `pytorch`, `sklearn` … Absent where the format does not tell. */
  readonly framework?: string;
  /** How the bytes are laid out: `onnx`, `safetensors`, `pickle` … */
  readonly format?: string;
  /** The file or folder to load, where the names leave no choice. */
  readonly entry?: string;
}

interface Rule extends Omit<DetectedFormat, 'entry'> {
  readonly matches: (name: string) => boolean;
  /** The usual names of the file to load when there are several. */
  readonly preferred?: readonly string[];
  /** Whether the entry is the folder that the file is in. */
  readonly folder?: boolean;
}

const named =
  (...names: string[]) =>
  (name: string) =>
    names.includes(name);
const ending =
  (...endings: string[]) =>
  (name: string) =>
    endings.some((end) => name.toLowerCase().endsWith(end));

/** First match decides: packages of several files before the files they are made of. */
const RULES: readonly Rule[] = [
  { framework: 'mlflow', format: 'mlflow', matches: named('MLmodel'), preferred: ['MLmodel'], folder: true },
  { framework: 'onnx', format: 'onnx', matches: ending('.onnx'), preferred: ['model.onnx'] },
  { framework: 'onnx', format: 'ort', matches: ending('.ort'), preferred: ['model.ort'] },
  { framework: 'tensorflow', format: 'saved-model', matches: named('saved_model.pb'), folder: true },
  { framework: 'openvino', format: 'openvino-ir', matches: named('openvino_model.xml') },
  { framework: 'coreml', format: 'coreml', matches: ending('.mlmodel') },
  { framework: 'tensorrt', format: 'tensorrt-engine', matches: ending('.engine', '.plan') },
  { framework: 'llama.cpp', format: 'gguf', matches: ending('.gguf') },
  {
    format: 'safetensors',
    matches: ending('.safetensors'),
    preferred: ['model.safetensors', 'adapter_model.safetensors'],
  },
  { framework: 'tensorflow', format: 'tflite', matches: ending('.tflite') },
  { framework: 'keras', format: 'keras', matches: ending('.keras') },
  { framework: 'keras', format: 'hdf5', matches: ending('.h5', '.hdf5') },
  { framework: 'pytorch', format: 'torch-export', matches: ending('.pt2') },
  { framework: 'pytorch', format: 'torchserve-archive', matches: ending('.mar') },
  {
    framework: 'pytorch',
    format: 'pytorch',
    matches: (name) =>
      ending('.pt', '.pth', '.ckpt')(name) || /^pytorch_model(-\d+-of-\d+)?\.bin$/.test(name),
    preferred: ['pytorch_model.bin', 'model.pt', 'model.pth'],
  },
  { framework: 'xgboost', format: 'ubjson', matches: ending('.ubj') },
  { framework: 'xgboost', format: 'xgboost', matches: ending('.xgb') },
  { framework: 'catboost', format: 'catboost', matches: ending('.cbm') },
  { framework: 'lightgbm', format: 'lightgbm', matches: ending('.lgb') },
  { framework: 'sklearn', format: 'skops', matches: ending('.skops') },
  { framework: 'sklearn', format: 'joblib', matches: ending('.joblib'), preferred: ['model.joblib'] },
  { format: 'pickle', matches: ending('.pkl', '.pickle'), preferred: ['model.pkl'] },
];

/**
 * Tells framework, format and entry from the names of a version's files; {} when none is known.
 * The file nearest to the root decides; of several there, the usual name is the entry and otherwise none.
 */
export function detectFormat(
  files: readonly { readonly path: string; readonly size: number }[],
): DetectedFormat {
  for (const { matches, preferred = [], folder = false, ...detected } of RULES) {
    const found = files.map((file) => file.path).filter((path) => matches(basename(path)));
    const depth = Math.min(...found.map(depthOf));
    const nearest = found.filter((path) => depthOf(path) === depth);
    if (nearest.length === 0) continue;
    const usual = nearest.filter((path) => preferred.includes(basename(path)));
    const entry = nearest.length === 1 ? nearest[0] : usual.length === 1 ? usual[0] : undefined;
    return {
      ...withLibrary(detected, files),
      ...(entry === undefined ? {} : { entry: folder ? dirname(entry) : entry }),
    };
  }
  return {};
}

/** Hugging Face's layout: weights with a `config.json` are for `transformers`, with `adapter_config.json` for `peft`. */
function withLibrary(
  detected: Omit<DetectedFormat, 'entry'>,
  files: readonly { readonly path: string }[],
): Omit<DetectedFormat, 'entry'> {
  if (detected.format !== 'safetensors') return detected;
  const names = new Set(files.map((file) => basename(file.path)));
  if (names.has('adapter_config.json')) return { ...detected, framework: 'peft' };
  return names.has('config.json') ? { ...detected, framework: 'transformers' } : detected;
}

const basename = (path: string) => path.slice(path.lastIndexOf('/') + 1);
const dirname = (path: string) => (path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.');
const depthOf = (path: string) => path.split('/').length;
