/** The Open Inference Protocol's datatypes that ONNX Runtime for Node takes. */
export type Datatype = keyof typeof DATATYPES;

export type NumericData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array;

/** Row-major elements. BOOL is 0 or 1, FP16 the bits of IEEE 754 binary16, BYTES are strings (ONNX text is UTF-8). */
export type TensorData = NumericData | string[];

export interface Tensor {
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** Tensors by name. */
export type Tensors = Readonly<Record<string, Tensor>>;

/** ONNX Runtime's name and the elements' array for each datatype. */
export const DATATYPES = {
  BOOL: { runtime: 'bool', array: Uint8Array },
  UINT8: { runtime: 'uint8', array: Uint8Array },
  UINT16: { runtime: 'uint16', array: Uint16Array },
  UINT32: { runtime: 'uint32', array: Uint32Array },
  UINT64: { runtime: 'uint64', array: BigUint64Array },
  INT8: { runtime: 'int8', array: Int8Array },
  INT16: { runtime: 'int16', array: Int16Array },
  INT32: { runtime: 'int32', array: Int32Array },
  INT64: { runtime: 'int64', array: BigInt64Array },
  FP16: { runtime: 'float16', array: Uint16Array },
  FP32: { runtime: 'float32', array: Float32Array },
  FP64: { runtime: 'float64', array: Float64Array },
  BYTES: { runtime: 'string', array: Array<string> },
} as const;

export function isDatatype(word: string): word is Datatype {
  return Object.hasOwn(DATATYPES, word);
}

/** Number of elements of a shape; 1 for a scalar's []. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const dimension of shape) size *= dimension;
  return size;
}

/** Rows `from` to `to` along the first dimension, sharing memory. */
export function rowsOf(tensor: Tensor, from: number, to: number): Tensor {
  const width = sizeOf(tensor.shape.slice(1));
  const data = tensor.data;
  const part = Array.isArray(data)
    ? data.slice(from * width, to * width)
    : (data.subarray(from * width, to * width) as NumericData);
  return { datatype: tensor.datatype, shape: [to - from, ...tensor.shape.slice(1)], data: part };
}

/** Tensors one after the other along the first dimension; all other dimensions must agree. */
export function joinRows(parts: readonly Tensor[]): Tensor {
  const { datatype, shape } = parts[0] as Tensor;
  const rows = parts.reduce((sum, part) => sum + (part.shape[0] as number), 0);
  const joined = [rows, ...shape.slice(1)];
  if (datatype === 'BYTES')
    return { datatype, shape: joined, data: parts.flatMap((part) => part.data as string[]) };
  const data = new DATATYPES[datatype].array(sizeOf(joined));
  let at = 0;
  for (const part of parts) {
    // All parts have the same datatype, which TypeScript cannot see.
    data.set(part.data as never, at);
    at += part.data.length;
  }
  return { datatype, shape: joined, data };
}
