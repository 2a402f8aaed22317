import type { Signature, TensorSpec } from './signature.ts';
import {
  expectBytes,
  expectVarint,
  invalid,
  type ReadRange,
  type WireField,
  WireReader,
} from './wire-reader.ts';

/** TensorProto.DataType of onnx.proto3 → Open Inference Protocol, or ONNX's own word where that has none. */
const DATATYPES: readonly (string | undefined)[] = [
  undefined,
  'FP32',
  'UINT8',
  'INT8',
  'UINT16',
  'INT16',
  'INT32',
  'INT64',
  'BYTES',
  'BOOL',
  'FP16',
  'FP64',
  'UINT32',
  'UINT64',
  'COMPLEX64',
  'COMPLEX128',
  'BF16',
  'FLOAT8E4M3FN',
  'FLOAT8E4M3FNUZ',
  'FLOAT8E5M2',
  'FLOAT8E5M2FNUZ',
  'UINT4',
  'INT4',
  'FLOAT4E2M1',
  'FLOAT8E8M0',
  'UINT2',
  'INT2',
];

const MAX_VALUES = 10_000;
const MAX_NESTING = 16;
/** Characters of initialiser and external file names kept while reading. */
const NAMES_BUDGET = 16 * 1024 * 1024;

interface Graph {
  name?: string;
  inputs: TensorSpec[];
  outputs: TensorSpec[];
  initializers: Set<string>;
  external: Set<string>;
  namesKept: number;
}

/**
 * The inputs and outputs of an ONNX file's main graph, read from its protobuf (field numbers of onnx.proto3) in flat
 * memory: weights and nodes are skipped. Inputs that an initialiser feeds are left out, as ONNX Runtime does.
 * External data is noticed on the main graph's initialisers, not on those of subgraphs or constants in nodes.
 * @throws CairnError `MODEL_FILE_INVALID` saying what is wrong and at which byte
 */
export async function readOnnxSignature(read: ReadRange, size: number): Promise<Signature> {
  const reader = new WireReader(read, size);
  const graph: Graph = {
    inputs: [],
    outputs: [],
    initializers: new Set(),
    external: new Set(),
    namesKept: 0,
  };
  const opsets: Record<string, number> = {};
  let irVersion = 0;
  let producer = '';
  let producerVersion = '';
  let graphs = 0;

  if (size === 0) throw invalid('it is empty');
  await reader.each({ start: 0, end: size }, async (field) => {
    switch (field.number) {
      case 1:
        irVersion = expectVarint(field);
        return;
      case 2:
        producer = await reader.text(field);
        return;
      case 3:
        producerVersion = await reader.text(field);
        return;
      case 7:
        graphs++;
        return readGraph(reader, field, graph);
      case 8:
        return readOpset(reader, field, opsets);
    }
  });

  if (graphs === 0) throw invalid('it has no graph');
  if (irVersion < 1 || irVersion > 1_000_000) throw invalid('it has no IR version');
  if (Object.keys(opsets).length === 0) throw invalid('it names no operator set; it may be truncated');
  if (graph.outputs.length === 0) throw invalid('its graph has no outputs');
  const made = [producer, producerVersion].filter(Boolean).join(' ');
  return {
    kind: 'tensor',
    inputs: graph.inputs.filter((input) => !graph.initializers.has(input.name)),
    outputs: graph.outputs,
    onnx: {
      irVersion,
      opsets,
      ...(made === '' ? {} : { producer: made }),
      ...(graph.name === undefined ? {} : { graph: graph.name }),
      ...(graph.external.size === 0 ? {} : { externalData: [...graph.external].sort() }),
    },
  };
}

async function readOpset(reader: WireReader, span: WireField, opsets: Record<string, number>): Promise<void> {
  expectBytes(span);
  let domain = '';
  let version = 0;
  await reader.each(span, async (field) => {
    if (field.number === 1) domain = await reader.text(field);
    if (field.number === 2) version = exact(field);
  });
  if (Object.keys(opsets).length >= MAX_VALUES)
    throw invalid(`it names more than ${MAX_VALUES} operator sets`);
  Object.defineProperty(opsets, domain || 'ai.onnx', {
    value: version,
    enumerable: true,
    configurable: true,
  });
}

function readGraph(reader: WireReader, span: WireField, graph: Graph): Promise<void> {
  expectBytes(span);
  return reader.each(span, async (field) => {
    switch (field.number) {
      case 2:
        graph.name = await reader.text(field);
        return;
      case 5:
        return readInitializer(reader, field, graph);
      case 11:
        return readValue(reader, field, graph.inputs);
      case 12:
        return readValue(reader, field, graph.outputs);
      case 15:
        return readSparseInitializer(reader, field, graph);
    }
  });
}

function readInitializer(reader: WireReader, span: WireField, graph: Graph): Promise<void> {
  expectBytes(span);
  return reader.each(span, (field) => {
    if (field.number === 8) return reader.text(field).then((name) => keep(graph, graph.initializers, name));
    if (field.number === 13) return readExternalData(reader, field, graph);
  });
}

/** A SparseTensorProto's name is that of its `values`. */
function readSparseInitializer(reader: WireReader, span: WireField, graph: Graph): Promise<void> {
  expectBytes(span);
  return reader.each(span, (field) =>
    field.number === 1 ? readInitializer(reader, field, graph) : undefined,
  );
}

async function readExternalData(reader: WireReader, span: WireField, graph: Graph): Promise<void> {
  expectBytes(span);
  let key = '';
  let value = '';
  await reader.each(span, async (field) => {
    if (field.number === 1) key = await reader.text(field);
    if (field.number === 2) value = await reader.text(field);
  });
  if (key === 'location') keep(graph, graph.external, value);
}

function keep(graph: Graph, names: Set<string>, name: string): void {
  if (names.has(name)) return;
  names.add(name);
  graph.namesKept += name.length + 1;
  if (graph.namesKept > NAMES_BUDGET) throw invalid('the names of its initialisers take more than 16 MiB');
}

async function readValue(reader: WireReader, span: WireField, into: TensorSpec[]): Promise<void> {
  expectBytes(span);
  let name = '';
  let type: Omit<TensorSpec, 'name'> | undefined;
  await reader.each(span, async (field) => {
    if (field.number === 1) name = await reader.text(field);
    if (field.number === 2) type = await readType(reader, field, 1);
  });
  if (name === '') throw invalid(`an input or output at byte ${span.start} has no name`);
  if (type === undefined) throw invalid(`"${name}" has no type`);
  if (into.length >= MAX_VALUES) throw invalid(`it has more than ${MAX_VALUES} inputs or outputs`);
  into.push({ name, ...type });
}

async function readType(
  reader: WireReader,
  span: WireField,
  depth: number,
): Promise<Omit<TensorSpec, 'name'>> {
  expectBytes(span);
  if (depth > MAX_NESTING) throw invalid(`types nested deeper than ${MAX_NESTING} at byte ${span.start}`);
  let type: Omit<TensorSpec, 'name'> | undefined;
  await reader.each(span, async (field) => {
    switch (field.number) {
      case 1:
        type = await readTensorType(reader, field);
        return;
      case 4:
      case 9:
        type = { datatype: field.number === 4 ? 'SEQUENCE' : 'OPTIONAL' };
        return checkElement(reader, field, 1, depth);
      case 5:
        type = { datatype: 'MAP' };
        return checkElement(reader, field, 2, depth);
      case 7:
        type = { datatype: 'OPAQUE' };
        return;
      case 8:
        type = { datatype: 'SPARSE' };
        return;
    }
  });
  if (type === undefined) throw invalid(`an input or output at byte ${span.start} has no type`);
  return type;
}

/** Reads the element type of a sequence, map or optional only to see that it is one. */
async function checkElement(
  reader: WireReader,
  span: WireField,
  element: number,
  depth: number,
): Promise<void> {
  expectBytes(span);
  await reader.each(span, (field) =>
    field.number === element ? readType(reader, field, depth + 1).then(() => undefined) : undefined,
  );
}

async function readTensorType(reader: WireReader, span: WireField): Promise<Omit<TensorSpec, 'name'>> {
  expectBytes(span);
  let element = 0;
  let shape: number[] | undefined;
  const names: (string | null)[] = [];
  await reader.each(span, (field) => {
    if (field.number === 1) element = exact(field);
    if (field.number !== 2) return;
    expectBytes(field);
    shape ??= [];
    const dims = shape;
    return reader.each(field, (dim) => {
      if (dim.number !== 1) return;
      if (dims.length >= MAX_VALUES)
        throw invalid(`a shape at byte ${span.start} has more than ${MAX_VALUES} dimensions`);
      return readDimension(reader, dim).then((read) => {
        dims.push(read.size);
        names.push(read.name);
      });
    });
  });
  if (element === 0) throw invalid(`a tensor at byte ${span.start} has no element type`);
  return {
    datatype: DATATYPES[element] ?? `ONNX_${element}`,
    ...(shape === undefined ? {} : { shape }),
    ...(names.some((name) => name !== null) ? { dimensions: names } : {}),
  };
}

async function readDimension(
  reader: WireReader,
  span: WireField,
): Promise<{ size: number; name: string | null }> {
  expectBytes(span);
  let size = -1;
  let name: string | null = null;
  await reader.each(span, async (field) => {
    if (field.number === 1) size = dimension(field);
    if (field.number === 2) name = (await reader.text(field)) || null;
  });
  return { size, name };
}

/** A dimension below zero (two's complement in ten bytes) means that any size fits. */
function dimension(field: WireField): number {
  return expectVarint(field) >= 2 ** 63 ? -1 : exact(field);
}

function exact(field: WireField): number {
  const value = expectVarint(field);
  if (!Number.isSafeInteger(value)) throw invalid(`the number at byte ${field.start} is too large`);
  return value;
}
