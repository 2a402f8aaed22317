import { CairnError } from '../../shared/errors.ts';
import { show } from './show.ts';
import {
  DATATYPES,
  type Datatype,
  type NumericData,
  sizeOf,
  type Tensor,
  type TensorData,
} from './tensor.ts';

/** Smallest and largest value of each integer datatype up to 32 bits. */
const INTEGERS: Partial<Record<Datatype, readonly [number, number]>> = {
  UINT8: [0, 2 ** 8 - 1],
  UINT16: [0, 2 ** 16 - 1],
  UINT32: [0, 2 ** 32 - 1],
  INT8: [-(2 ** 7), 2 ** 7 - 1],
  INT16: [-(2 ** 15), 2 ** 15 - 1],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
};

/**
 * A tensor's elements from JSON, flat or nested as its shape says.
 * @throws CairnError `INVALID_ARGUMENT` naming the input and the element that is wrong
 */
export function dataFromJson(
  name: string,
  datatype: Datatype,
  shape: readonly number[],
  json: unknown,
): TensorData {
  if (!Array.isArray(json)) throw wrong(name, `has data that is not an array`);
  const values = Array.isArray(json[0]) ? flatten(name, json, shape) : json;
  const size = sizeOf(shape);
  if (values.length !== size) {
    throw wrong(
      name,
      `of shape ${JSON.stringify(shape)} needs ${size} elements, ${values.length} were given`,
    );
  }
  switch (datatype) {
    case 'BYTES':
      return strings(name, values);
    case 'BOOL':
      return booleans(name, values);
    case 'INT64':
    case 'UINT64':
      return bigIntegers(name, datatype, values);
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return floats(name, datatype, values);
    default:
      return integers(name, datatype, values);
  }
}

function flatten(name: string, nested: readonly unknown[], shape: readonly number[]): unknown[] {
  let level = nested as unknown[];
  for (const [depth, length] of shape.entries()) {
    if (depth === 0) continue;
    const next: unknown[] = [];
    for (const part of level) {
      if (!Array.isArray(part))
        throw wrong(name, `has ${show(part)} where shape ${JSON.stringify(shape)} needs an array`);
      if (part.length !== length) {
        throw wrong(
          name,
          `has ${part.length} elements in dimension ${depth}, where shape ${JSON.stringify(shape)} says ${length}`,
        );
      }
      for (const value of part) next.push(value);
    }
    level = next;
  }
  return level;
}

function floats(name: string, datatype: 'FP16' | 'FP32' | 'FP64', values: readonly unknown[]): NumericData {
  const bits = new DATATYPES[datatype].array(values.length);
  const data = bits instanceof Uint16Array ? new Float16Array(bits.buffer) : bits;
  for (let n = 0; n < values.length; n++) {
    const value = values[n];
    if (typeof value !== 'number')
      throw notOne(name, n, value, 'a number', ' (JSON has no NaN or infinity: send binary data)');
    data[n] = value;
    if (!Number.isFinite(data[n])) throw notOne(name, n, value, `a number that fits ${datatype}`);
  }
  return bits;
}

function integers(name: string, datatype: Datatype, values: readonly unknown[]): NumericData {
  const [least, most] = INTEGERS[datatype] as readonly [number, number];
  const data = new DATATYPES[datatype].array(values.length) as Int32Array;
  for (let n = 0; n < values.length; n++) {
    const value = values[n];
    if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
      throw notOne(name, n, value, `an integer from ${least} to ${most}`);
    }
    data[n] = value as number;
  }
  return data;
}

function bigIntegers(name: string, datatype: 'INT64' | 'UINT64', values: readonly unknown[]): NumericData {
  const data = new DATATYPES[datatype].array(values.length);
  for (let n = 0; n < values.length; n++) {
    const value = values[n];
    if (!Number.isSafeInteger(value) || (datatype === 'UINT64' && (value as number) < 0)) {
      const range = datatype === 'UINT64' ? 'from 0 to 2^53 - 1' : 'between -2^53 and 2^53';
      throw notOne(
        name,
        n,
        value,
        `an integer ${range}`,
        ' (JSON numbers lose digits beyond: send binary data)',
      );
    }
    data[n] = BigInt(value as number);
  }
  return data;
}

function booleans(name: string, values: readonly unknown[]): NumericData {
  return Uint8Array.from(values, (value, n) => {
    if (typeof value !== 'boolean') throw notOne(name, n, value, 'true or false');
    return Number(value);
  });
}

function strings(name: string, values: readonly unknown[]): string[] {
  const other = values.findIndex((value) => typeof value !== 'string');
  if (other >= 0) throw notOne(name, other, values[other], 'a string');
  refuseNul(name, values as string[]);
  return values as string[];
}

/**
 * ONNX Runtime for Node takes strings up to their first NUL.
 * @throws CairnError `INVALID_ARGUMENT` for a string that has one
 */
export function refuseNul(name: string, texts: readonly string[]): void {
  const cut = texts.findIndex((text) => text.includes('\0'));
  if (cut >= 0) throw wrong(name, `has a NUL character at element ${cut}, which the runtime cannot take`);
}

/** The elements as a flat JSON array, row-major. NaN and infinities are null: JSON has no word for them. */
export function dataToJson({ datatype, data }: Tensor): string {
  switch (datatype) {
    case 'BYTES':
      return JSON.stringify(data);
    case 'FP16':
    case 'FP32':
    case 'FP64':
      return JSON.stringify(Array.from(elements(datatype, data) as ArrayLike<number>));
    case 'BOOL':
      return `[${Array.from(data as Uint8Array, (bit) => bit !== 0).join(',')}]`;
    default:
      return `[${(data as NumericData).join(',')}]`;
  }
}

/** The elements as JSON, nested as the shape says: a scalar's [] gives the bare element. */
export function nestedJson(tensor: Tensor): string {
  const { datatype, data, shape } = tensor;
  const values = elements(datatype, data);
  let at = 0;
  const build = (depth: number): string => {
    if (depth === shape.length) return element(datatype, values[at++]);
    return `[${Array.from({ length: shape[depth] as number }, () => build(depth + 1)).join(',')}]`;
  };
  return build(0);
}

function elements(datatype: Datatype, data: TensorData): ArrayLike<unknown> {
  return datatype === 'FP16' && data instanceof Uint16Array
    ? new Float16Array(data.buffer, data.byteOffset, data.length)
    : data;
}

function element(datatype: Datatype, value: unknown): string {
  if (datatype === 'BOOL') return String(value !== 0);
  return typeof value === 'bigint' ? String(value) : JSON.stringify(value);
}

function notOne(name: string, position: number, value: unknown, expected: string, hint = ''): CairnError {
  return wrong(name, `has ${show(value)} at element ${position}, expected ${expected}${hint}`);
}

const wrong = (name: string, what: string) =>
  new CairnError('INVALID_ARGUMENT', `input "${name}" ${what}`, name);
