import { parse } from 'yaml';
import * as z from 'zod';
import { CairnError } from '../../errors.ts';
import type { Signature, TensorSpec } from './signature.ts';

/** A larger MLmodel file is not read. */
export const MLMODEL_LIMIT = 1024 * 1024;

const Mlmodel = z.looseObject({
  flavors: z.record(z.string(), z.record(z.string(), z.unknown()).nullable()).default({}),
  signature: z
    .looseObject({
      inputs: z.string().nullish(),
      outputs: z.string().nullish(),
      params: z.string().nullish(),
    })
    .nullish(),
});

const Field = z.looseObject({
  type: z.string(),
  name: z.union([z.string(), z.number()]).optional(),
  required: z.boolean().optional(),
  'tensor-spec': z.looseObject({ dtype: z.string(), shape: z.array(z.int().min(-1)) }).optional(),
});

/** numpy's dtype names and MLflow's DataType names → Open Inference Protocol. */
const DATATYPES: Readonly<Record<string, string>> = {
  float16: 'FP16',
  float32: 'FP32',
  float64: 'FP64',
  int8: 'INT8',
  int16: 'INT16',
  int32: 'INT32',
  int64: 'INT64',
  uint8: 'UINT8',
  uint16: 'UINT16',
  uint32: 'UINT32',
  uint64: 'UINT64',
  bool: 'BOOL',
  str: 'BYTES',
  object: 'BYTES',
  bytes: 'BYTES',
  boolean: 'BOOL',
  integer: 'INT32',
  long: 'INT64',
  float: 'FP32',
  double: 'FP64',
  string: 'BYTES',
  binary: 'BYTES',
};

export interface MlmodelContents {
  /** Names of the flavours, `python_function` last. */
  readonly flavors: readonly string[];
  /** The framework: the first flavour that is not `python_function`. */
  readonly framework: string;
  /** The ONNX file of the `onnx` flavour, relative to the MLmodel file. */
  readonly onnx?: string;
  readonly signature?: Signature;
}

/**
 * Reads an MLflow `MLmodel` file's flavours and signature (mlflow.org/docs/latest/ml/model/signatures). No code or
 * model of it is loaded.
 * @throws CairnError `MODEL_FILE_INVALID` saying what is wrong
 */
export function readMlmodel(text: string): MlmodelContents {
  if (text.length > MLMODEL_LIMIT) throw invalid(`it is longer than ${MLMODEL_LIMIT} characters`);
  const document = Mlmodel.safeParse(parseYaml(text));
  if (!document.success) throw invalid(z.prettifyError(document.error));
  const { flavors, signature } = document.data;
  const names = Object.keys(flavors).sort(
    (a, b) => Number(a === 'python_function') - Number(b === 'python_function'),
  );
  const onnx = flavors.onnx?.data;
  const contents: MlmodelContents = {
    flavors: names,
    framework: names[0] ?? 'mlflow',
    ...(typeof onnx === 'string' ? { onnx } : {}),
    ...(signature?.inputs ? { signature: readSignature(signature.inputs, signature.outputs) } : {}),
  };
  // Escapes of YAML and JSON can make half a surrogate pair, which no record can hold.
  JSON.stringify(contents, (_, value) => {
    if (typeof value === 'string' && !value.isWellFormed()) throw invalid('it has text that is no Unicode');
    return value;
  });
  return contents;
}

function parseYaml(text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100, logLevel: 'error' });
  } catch (error) {
    throw invalid((error as Error).message);
  }
}

function readSignature(inputs: string, outputs: string | null | undefined): Signature {
  const given = readFields(inputs, 'inputs');
  const returned = outputs ? readFields(outputs, 'outputs') : [];
  return {
    kind: given.some((field) => field.type === 'tensor') ? 'tensor' : 'column',
    inputs: given.map(specOf),
    outputs: returned.map(specOf),
  };
}

function readFields(json: string, part: string): z.infer<typeof Field>[] {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (error) {
    throw invalid(`signature.${part} is not JSON: ${(error as Error).message}`);
  }
  const fields = z.array(Field).max(10_000).safeParse(value);
  if (!fields.success) throw invalid(`signature.${part}: ${z.prettifyError(fields.error)}`);
  return fields.data;
}

/** A column has one value a row: shape [-1]. */
function specOf(field: z.infer<typeof Field>, index: number): TensorSpec {
  const tensor = field['tensor-spec'];
  const type = tensor?.dtype ?? field.type;
  return {
    name: String(field.name ?? index),
    datatype: (/^str\d+$/.test(type) ? 'BYTES' : DATATYPES[type]) ?? type.toUpperCase(),
    shape: tensor?.shape ?? [-1],
    ...(field.required === false ? { required: false } : {}),
  };
}

const invalid = (what: string) =>
  new CairnError('MODEL_FILE_INVALID', `Not a valid MLmodel file: ${what}.`, 'MLmodel');
