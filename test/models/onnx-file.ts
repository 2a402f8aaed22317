/** A tensor-valued input or output; a dimension is a size or a name, no shape means any. */
export interface Value {
  readonly name: string;
  readonly type: keyof typeof ELEMENT_TYPES;
  readonly shape?: readonly (number | string)[];
}

/** onnx.proto3's TensorProto.DataType. */
const ELEMENT_TYPES = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
} as const;

export interface OnnxFile {
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  readonly nodes: readonly {
    readonly op: string;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
  }[];
  /** One int64 each, as a scalar. */
  readonly scalars?: Readonly<Record<string, number>>;
  /** File with the weights of an initialiser that is only named. */
  readonly externalData?: string;
}

/** A small ONNX file (IR 8, opset 17), written by hand from onnx.proto3's field numbers. */
export function onnxFile({ inputs, outputs, nodes, scalars = {}, externalData }: OnnxFile): Buffer {
  const graph = Buffer.concat([
    ...nodes.map(({ op, inputs: from, outputs: to }) =>
      message(1, ...from.map((name) => text(1, name)), ...to.map((name) => text(2, name)), text(4, op)),
    ),
    text(2, 'made-for-a-test'),
    ...Object.entries(scalars).map(([name, value]) =>
      message(5, number(2, 7), number(7, value), text(8, name)),
    ),
    ...(externalData === undefined
      ? []
      : [
          message(
            5,
            number(2, 1),
            text(8, 'weights'),
            message(13, text(1, 'location'), text(2, externalData)),
            number(14, 1),
          ),
        ]),
    ...inputs.map((value) => message(11, ...valueInfo(value))),
    ...outputs.map((value) => message(12, ...valueInfo(value))),
  ]);
  return Buffer.concat([number(1, 8), text(2, 'cairn-test'), bytes(7, graph), message(8, number(2, 17))]);
}

/** `y` is `x` unchanged, of any batch size and two columns. */
export function identity(type: Value['type']): Buffer {
  return onnxFile({
    inputs: [{ name: 'x', type, shape: ['batch', 2] }],
    outputs: [{ name: 'y', type, shape: ['batch', 2] }],
    nodes: [{ op: 'Identity', inputs: ['x'], outputs: ['y'] }],
  });
}

function valueInfo({ name, type, shape }: Value): Buffer[] {
  const dimensions = shape?.map((size) =>
    message(1, typeof size === 'number' ? number(1, size) : text(2, size)),
  );
  const tensor = [
    number(1, ELEMENT_TYPES[type]),
    ...(dimensions === undefined ? [] : [message(2, ...dimensions)]),
  ];
  return [text(1, name), message(2, message(1, ...tensor))];
}

/** A varint field. */
export const number = (field: number, value: number) => Buffer.concat([varint(field * 8), varint(value)]);
/** A string field. */
export const text = (field: number, value: string) => bytes(field, Buffer.from(value));
/** A message field of the fields given. */
export const message = (field: number, ...fields: Buffer[]) => bytes(field, Buffer.concat(fields));
/** A field's tag and length, for a payload that follows. */
export const header = (field: number, length: number) =>
  Buffer.concat([varint(field * 8 + 2), varint(length)]);
const bytes = (field: number, value: Buffer) => Buffer.concat([header(field, value.length), value]);

function varint(value: number): Buffer {
  const parts: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    parts.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Buffer.from(parts);
}
