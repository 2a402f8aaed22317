import type { TensorSpec } from '../shared/registry/format/signature.ts';
import { usageError } from './cli-error.ts';

type Scalar = number | string | boolean;

/** A request of the Open Inference Protocol v2. */
export interface InferRequest {
  readonly inputs: readonly InferTensor[];
}

export interface InferTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly Scalar[];
}

/**
 * The request for plain data: nested arrays for a model with one input, `{ "<input>": [[…]] }` for one with several.
 * A single example gets its batch dimension. What has `inputs` is a request already.
 * @throws CliError for ragged arrays, unknown or missing inputs and wrong shapes
 */
export function inferRequest(data: unknown, specs: readonly TensorSpec[]): unknown {
  if (typeof data === 'object' && data !== null && !Array.isArray(data)) {
    if (Array.isArray((data as { inputs?: unknown }).inputs)) return data;
    return { inputs: namedTensors(data as Record<string, unknown>, specs) } satisfies InferRequest;
  }
  const [only, ...others] = specs;
  if (others.length > 0) {
    const names = specs.map(({ name }) => `"${name}"`).join(', ');
    throw usageError(
      `The model has ${specs.length} inputs: ${names}.`,
      'Give an object with one entry for each.',
    );
  }
  return {
    inputs: [tensor(data, only ?? { name: 'input', datatype: datatypeOf(data) })],
  } satisfies InferRequest;
}

function namedTensors(data: Record<string, unknown>, specs: readonly TensorSpec[]): InferTensor[] {
  const known = new Map(specs.map((spec) => [spec.name, spec]));
  const missing = specs.find(({ name, required }) => required !== false && !(name in data));
  if (missing) throw usageError(`The data lacks the input "${missing.name}".`);
  return Object.entries(data).map(([name, value]) => {
    const spec = known.get(name);
    if (!spec && specs.length > 0) {
      throw usageError(`The model has no input "${name}".`, `Its inputs: ${[...known.keys()].join(', ')}.`);
    }
    return tensor(value, spec ?? { name, datatype: datatypeOf(value) });
  });
}

function tensor(value: unknown, spec: TensorSpec): InferTensor {
  const shape = shapeOf(value);
  const data: Scalar[] = [];
  flatten(value, shape, 0, spec.name, data);
  return { name: spec.name, datatype: spec.datatype, shape: shapeFor(shape, spec), data };
}

/** The shape that the first elements have. */
function shapeOf(value: unknown): number[] {
  const shape: number[] = [];
  for (let at = value; Array.isArray(at); at = at[0]) shape.push(at.length);
  return shape;
}

function flatten(
  value: unknown,
  shape: readonly number[],
  depth: number,
  name: string,
  into: Scalar[],
): void {
  if (depth === shape.length) {
    if (typeof value !== 'number' && typeof value !== 'string' && typeof value !== 'boolean') {
      const found = Array.isArray(value) ? 'an array' : JSON.stringify(value);
      throw usageError(
        `Input "${name}" has ${found} where a value belongs; all its rows must have the same length.`,
      );
    }
    into.push(value);
    return;
  }
  if (!Array.isArray(value) || value.length !== shape[depth]) {
    throw usageError(`Input "${name}" is ragged: its rows must all have the same length.`);
  }
  for (const item of value) flatten(item, shape, depth + 1, name, into);
}

function shapeFor(shape: number[], { name, shape: wanted }: TensorSpec): number[] {
  if (wanted === undefined) return shape;
  const fits = (candidate: readonly number[]) =>
    candidate.length === wanted.length &&
    candidate.every((size, at) => wanted[at] === -1 || wanted[at] === size);
  if (fits(shape)) return shape;
  if (fits([1, ...shape])) return [1, ...shape];
  const words = wanted.map((size) => (size === -1 ? '?' : size)).join(', ');
  throw usageError(`Input "${name}" has the shape [${shape.join(', ')}]; the model takes [${words}].`);
}

function datatypeOf(value: unknown): string {
  let at = value;
  while (Array.isArray(at)) at = at[0];
  return typeof at === 'string' ? 'BYTES' : typeof at === 'boolean' ? 'BOOL' : 'FP32';
}

/** A tensor's flat data as nested arrays. */
export function nested(data: readonly unknown[], shape: readonly number[]): unknown {
  const [size, ...rest] = shape;
  if (size === undefined) return data[0];
  const length = rest.reduce((product, one) => product * one, 1);
  return Array.from({ length: size }, (_, at) => nested(data.slice(at * length, (at + 1) * length), rest));
}
