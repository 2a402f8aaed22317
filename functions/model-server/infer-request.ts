import { CairnError } from '../../shared/errors.ts';
import type { Model, Port } from './model.ts';
import { show } from './show.ts';
import type { Tensor, Tensors } from './tensor.ts';
import { dataFromBytes } from './tensor-binary.ts';
import { dataFromJson } from './tensor-json.ts';

/** An inference request that fits the model. */
export interface InferRequest {
  readonly id?: string;
  readonly inputs: Tensors;
  readonly outputs: readonly WantedOutput[];
}

export interface WantedOutput {
  readonly name: string;
  /** Whether to send it by the binary tensor data extension. */
  readonly binary: boolean;
}

type Json = Record<string, unknown>;

/** Dimensions beyond 32 bits are nobody's. */
const MAX_DIMENSION = 2 ** 31 - 1;

/** What the protocol's extensions define and this server does not do: refused, never ignored. */
const REFUSED_PARAMETERS = ['classification', 'shared_memory_region', 'sequence_id'];

/**
 * Reads an inference request of the Open Inference Protocol v2 (REST), with its binary tensor data extension when
 * `headerLength`, the value of Inference-Header-Content-Length, is given.
 * @throws CairnError `INVALID_ARGUMENT` with a sentence that names the input and what was expected and given
 */
export function readInferRequest(body: Buffer, headerLength: string | undefined, model: Model): InferRequest {
  if (headerLength === undefined) return fromJson(parseJson(body), undefined, model);
  const length = /^\d+$/.test(headerLength) ? Number(headerLength) : Number.NaN;
  if (!(length >= 2 && length <= body.length)) {
    const given = show(headerLength);
    throw bad(
      `Inference-Header-Content-Length is ${given}, expected the JSON's length, from 2 to the body's ${body.length} bytes`,
    );
  }
  return fromJson(parseJson(body.subarray(0, length)), body.subarray(length), model);
}

/** @throws CairnError `INVALID_ARGUMENT` unless the bytes are one JSON object */
export function parseJson(bytes: Buffer): Json {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw bad(`the request is not JSON: ${(error as Error).message}`);
  }
  return object(json, 'the request');
}

/** Reads an inference request that came as JSON. */
export function fromJson(request: Json, binary: Buffer | undefined, model: Model): InferRequest {
  const parameters = readParameters(request.parameters, 'the request');
  const id = request.id;
  if (id !== undefined && typeof id !== 'string') throw bad(`"id" is ${show(id)}, expected a string`);
  if (!Array.isArray(request.inputs)) throw bad('"inputs" is missing or not an array of tensors');

  const inputs: Record<string, Tensor> = {};
  let at = 0;
  for (const given of request.inputs) {
    const input = object(given, 'an element of "inputs"');
    const port = portOf(model, input.name);
    if (Object.hasOwn(inputs, port.name)) throw bad(`input "${port.name}" is given twice`);
    const { tensor, bytes } = readTensor(input, port, binary?.subarray(at));
    inputs[port.name] = tensor;
    at += bytes;
  }
  requireAll(model, inputs);
  if (binary !== undefined && at !== binary.length) {
    throw bad(
      `${binary.length} bytes of binary data follow the JSON, the inputs' binary_data_size sum to ${at}`,
    );
  }
  const outputs = readOutputs(request.outputs, parameters.binary_data_output === true, model);
  return id === undefined ? { inputs, outputs } : { id, inputs, outputs };
}

/** @throws CairnError `INVALID_ARGUMENT` naming an input of the model that is not there */
export function requireAll(model: Model, inputs: Tensors): void {
  for (const name of model.inputs.keys()) {
    if (!Object.hasOwn(inputs, name)) throw bad(`input "${name}" is missing`);
  }
}

/** @throws CairnError `INVALID_ARGUMENT` unless the name is one of the model's inputs */
export function portOf(model: Model, name: unknown): Port {
  const port = typeof name === 'string' ? model.inputs.get(name) : undefined;
  if (port !== undefined) return port;
  throw bad(
    `${name === undefined ? 'an input without a name' : show(name)} is not an input of model "${model.name}"; it has ${list(model.inputs.keys())}`,
  );
}

/** @throws CairnError `INVALID_ARGUMENT` unless the shape fits the input's. Many models fail on no rows at all. */
export function checkShape(port: Port, shape: unknown): asserts shape is number[] {
  const given = Array.isArray(shape) ? shape : undefined;
  if (!given?.every((size) => Number.isInteger(size) && size >= 0 && size <= MAX_DIMENSION)) {
    throw bad(`input "${port.name}" has shape ${show(shape)}, expected an array of integers from 0 up`);
  }
  const expected = port.shape;
  const fits =
    expected?.every((size, n) => size === -1 || size === given[n]) && given.length === expected.length;
  if (expected !== undefined && !fits) {
    throw bad(`input "${port.name}" has shape ${show(given)}, expected ${JSON.stringify(expected)}`);
  }
  if (given[0] === 0 && expected?.[0] !== 0) {
    throw bad(`input "${port.name}" has shape ${show(given)}, expected at least one row`);
  }
}

function readTensor(input: Json, port: Port, binary: Buffer | undefined): { tensor: Tensor; bytes: number } {
  const { name, datatype } = port;
  if (input.datatype !== datatype) {
    throw bad(`input "${name}" has datatype ${show(input.datatype)}, expected "${datatype}"`);
  }
  const { shape } = input;
  checkShape(port, shape);
  const bytes = readParameters(input.parameters, `input "${name}"`).binary_data_size;
  if (bytes === undefined) {
    if (input.data === undefined) throw bad(`input "${name}" has no data`);
    return { tensor: { datatype, shape, data: dataFromJson(name, datatype, shape, input.data) }, bytes: 0 };
  }
  if (input.data !== undefined) throw bad(`input "${name}" has both data and binary_data_size`);
  if (binary === undefined)
    throw bad(`input "${name}" has binary_data_size, which needs the header Inference-Header-Content-Length`);
  if (!Number.isInteger(bytes) || (bytes as number) < 0 || (bytes as number) > binary.length) {
    throw bad(
      `input "${name}" has binary_data_size ${show(bytes)}, ${binary.length} bytes are left of the body`,
    );
  }
  const part = binary.subarray(0, bytes as number);
  return {
    tensor: { datatype, shape, data: dataFromBytes(name, datatype, shape, part) },
    bytes: part.length,
  };
}

function readOutputs(given: unknown, binary: boolean, model: Model): WantedOutput[] {
  if (given === undefined || (Array.isArray(given) && given.length === 0)) {
    return Array.from(model.outputs.keys(), (name) => ({ name, binary }));
  }
  if (!Array.isArray(given)) throw bad('"outputs" is not an array');
  const seen = new Set<string>();
  return given.map((element) => {
    const output = object(element, 'an element of "outputs"');
    const name = output.name;
    if (typeof name !== 'string' || !model.outputs.has(name)) {
      throw bad(
        `${name === undefined ? 'an output without a name' : show(name)} is not an output of model "${model.name}"; it has ${list(model.outputs.keys())}`,
      );
    }
    if (seen.has(name)) throw bad(`output "${name}" is asked for twice`);
    seen.add(name);
    const parameters = readParameters(output.parameters, `output "${name}"`);
    return { name, binary: typeof parameters.binary_data === 'boolean' ? parameters.binary_data : binary };
  });
}

function readParameters(given: unknown, where: string): Json {
  if (given === undefined) return {};
  const parameters = object(given, `"parameters" of ${where}`);
  const refused = REFUSED_PARAMETERS.find((name) => parameters[name] !== undefined);
  if (refused !== undefined) throw bad(`parameter "${refused}" of ${where} is not supported`);
  return parameters;
}

function object(json: unknown, what: string): Json {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Json;
  throw bad(`${what} is not a JSON object`);
}

const list = (names: Iterable<string>) => Array.from(names, (name) => `"${name}"`).join(', ');

const bad = (detail: string) => new CairnError('INVALID_ARGUMENT', detail);
