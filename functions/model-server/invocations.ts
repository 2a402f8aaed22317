import { CairnError } from '../../shared/errors.ts';
import { checkShape, fromJson, type InferRequest, parseJson, portOf, requireAll } from './infer-request.ts';
import { encodeInferResponse } from './infer-response.ts';
import type { Model, Port } from './model.ts';
import { show } from './show.ts';
import { rowsOf, type Tensor, type Tensors } from './tensor.ts';
import { dataFromJson, nestedJson } from './tensor-json.ts';

/** A request to SageMaker's `/invocations` that fits the model, and how to answer it. */
export interface Invocation {
  readonly inputs: Tensors;
  readonly outputs: readonly string[];
  answer(outputs: Tensors): string;
}

/**
 * Reads the body of `/invocations` (docs.aws.amazon.com/sagemaker: "Custom Inference Code with Hosting Services"),
 * whose format is the container's own choice. JSON: `{"instances": [row, …]}` with a row for each prediction, or
 * `{"inputs": tensor}`, where several inputs are an object by name; both answer `{"predictions": …}`. An Open Inference
 * Protocol request is answered as such. CSV: rows of numbers without a header, for a model with one input.
 * @throws CairnError `INVALID_ARGUMENT`, `UNSUPPORTED_MEDIA_TYPE`
 */
export function readInvocation(body: Buffer, contentType: string, model: Model): Invocation {
  if (contentType === 'text/csv') return predictions(tensorsOf(model, readCsv(body.toString('utf8'))), model);
  if (contentType !== '' && contentType !== 'application/json') {
    throw new CairnError(
      'UNSUPPORTED_MEDIA_TYPE',
      `Content-Type is "${contentType}", expected application/json or text/csv`,
    );
  }
  const request = parseJson(body);
  if (Array.isArray(request.instances)) return predictions(fromInstances(request.instances, model), model);
  if (isProtocol(request.inputs)) return protocolAnswer(fromJson(request, undefined, model), model);
  if (request.inputs !== undefined) return predictions(tensorsOf(model, request.inputs), model);
  throw bad('the request has neither "instances" nor "inputs"');
}

function isProtocol(inputs: unknown): boolean {
  const first: unknown = Array.isArray(inputs) ? inputs[0] : undefined;
  return typeof first === 'object' && first !== null && 'datatype' in first;
}

function protocolAnswer(request: InferRequest, model: Model): Invocation {
  const json = { ...request, outputs: request.outputs.map(({ name }) => ({ name, binary: false })) };
  return {
    inputs: request.inputs,
    outputs: json.outputs.map(({ name }) => name),
    answer: (outputs) => encodeInferResponse(json, outputs, model).body as string,
  };
}

/** Rows are the one input's values, or objects with a value for each input. */
function fromInstances(rows: readonly unknown[], model: Model): Tensors {
  if (!isObject(rows[0])) return tensorsOf(model, rows);
  const columns: Record<string, unknown[]> = Object.fromEntries(
    Object.keys(rows[0]).map((name) => [name, []]),
  );
  for (const [n, row] of rows.entries()) {
    if (!isObject(row) || Object.keys(row).length !== Object.keys(columns).length) {
      throw bad(`instance ${n} does not have the same inputs as instance 0`);
    }
    for (const [name, value] of Object.entries(row)) {
      if (!Object.hasOwn(columns, name)) throw bad(`instance ${n} has "${name}", which instance 0 has not`);
      columns[name]?.push(value);
    }
  }
  return tensorsOf(model, columns);
}

/** Nested arrays for the one input, or an object of them by name. */
function tensorsOf(model: Model, values: unknown): Tensors {
  const inputs: Record<string, Tensor> = {};
  for (const [name, nested] of isObject(values)
    ? Object.entries(values)
    : [[soleInput(model), values] as const]) {
    inputs[name] = tensorOf(portOf(model, name), nested);
  }
  requireAll(model, inputs);
  return inputs;
}

function tensorOf(port: Port, nested: unknown): Tensor {
  const shape: number[] = [];
  for (let level = nested; Array.isArray(level) && shape.length <= 64; level = level[0])
    shape.push(level.length);
  checkShape(port, shape);
  const data = dataFromJson(port.name, port.datatype, shape, shape.length === 0 ? [nested] : nested);
  return { datatype: port.datatype, shape, data };
}

function soleInput(model: Model): string {
  const [first, ...others] = model.inputs.keys();
  if (first !== undefined && others.length === 0) return first;
  throw bad(`model "${model.name}" has ${model.inputs.size} inputs: give them by name`);
}

function readCsv(text: string): number[][] {
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
  return lines.map((line, n) => {
    const row = line.split(',').map((cell) => (cell.trim() === '' ? Number.NaN : Number(cell)));
    const wrong = row.findIndex((value) => !Number.isFinite(value));
    if (wrong < 0) return row;
    throw bad(
      `line ${n + 1} of the CSV has ${show(line.split(',')[wrong])} in column ${wrong + 1}, expected a number`,
    );
  });
}

/** A prediction a row: the one output's value, or an object by name; outputs that have no rows stay whole. */
function predictions(inputs: Tensors, model: Model): Invocation {
  const names = [...model.outputs.keys()];
  const rows = Object.values(inputs)[0]?.shape[0];
  return {
    inputs,
    outputs: names,
    answer(outputs) {
      const tensors = names.map((name) => [name, outputs[name] as Tensor] as const);
      if (rows === undefined || !tensors.every(([, tensor]) => tensor.shape[0] === rows)) {
        return `{"predictions":${byName(tensors)}}`;
      }
      const each = Array.from({ length: rows }, (_, n) =>
        byName(tensors.map(([name, tensor]) => [name, row(tensor, n)])),
      );
      return `{"predictions":[${each.join(',')}]}`;
    },
  };
}

function row(tensor: Tensor, n: number): Tensor {
  return { ...rowsOf(tensor, n, n + 1), shape: tensor.shape.slice(1) };
}

function byName(tensors: readonly (readonly [string, Tensor])[]): string {
  const [first, ...others] = tensors;
  if (first !== undefined && others.length === 0) return nestedJson(first[1]);
  return `{${tensors.map(([name, tensor]) => `${JSON.stringify(name)}:${nestedJson(tensor)}`).join(',')}}`;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const bad = (detail: string) => new CairnError('INVALID_ARGUMENT', detail);
