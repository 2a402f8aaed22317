import { endianness } from 'node:os';
import { CairnError } from '../../shared/errors.ts';
import { DATATYPES, type Datatype, sizeOf, type Tensor, type TensorData } from './tensor.ts';
import { refuseNul } from './tensor-json.ts';

// The protocol's bytes are little-endian and are used as they are.
if (endianness() !== 'LE') throw new Error('the model server runs on little-endian machines');

/**
 * A tensor's elements from the bytes of the Open Inference Protocol's binary tensor data extension: row-major,
 * little-endian; BYTES are a 4-byte length and the bytes of each element.
 * @throws CairnError `INVALID_ARGUMENT` naming the input, when the bytes do not fit datatype and shape
 */
export function dataFromBytes(
  name: string,
  datatype: Datatype,
  shape: readonly number[],
  bytes: Uint8Array,
): TensorData {
  if (datatype === 'BYTES') return textsFromBytes(name, shape, bytes);
  const { array } = DATATYPES[datatype];
  const needed = sizeOf(shape) * array.BYTES_PER_ELEMENT;
  if (bytes.byteLength !== needed) {
    const given = `binary_data_size says ${bytes.byteLength}`;
    throw wrong(
      name,
      `with datatype ${datatype} and shape ${JSON.stringify(shape)} needs ${needed} bytes, ${given}`,
    );
  }
  // A copy: elements have to be aligned, and the body's buffer may be one of Node's shared pool.
  return new array(Uint8Array.from(bytes).buffer);
}

function textsFromBytes(name: string, shape: readonly number[], bytes: Uint8Array): string[] {
  const size = sizeOf(shape);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const texts: string[] = [];
  let at = 0;
  while (at < bytes.byteLength) {
    const start = at + 4;
    const end = start <= bytes.byteLength ? start + view.getUint32(at, true) : Number.POSITIVE_INFINITY;
    if (end > bytes.byteLength)
      throw wrong(name, `has element ${texts.length} going beyond its ${bytes.byteLength} bytes`);
    if (texts.length === size) break;
    try {
      texts.push(decoder.decode(bytes.subarray(start, end)));
    } catch {
      throw wrong(name, `has bytes at element ${texts.length} that are not UTF-8, which ONNX strings are`);
    }
    at = end;
  }
  if (texts.length !== size || at !== bytes.byteLength) {
    const given = at === bytes.byteLength ? `${texts.length} were given` : 'more were given';
    throw wrong(name, `of shape ${JSON.stringify(shape)} needs ${size} elements, ${given}`);
  }
  refuseNul(name, texts);
  return texts;
}

/** The elements as the binary tensor data extension sends them; numbers share memory with the tensor. */
export function dataToBytes({ data }: Tensor): Uint8Array {
  if (!Array.isArray(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const parts = data.flatMap((text) => {
    const bytes = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32LE(bytes.length);
    return [length, bytes];
  });
  return Buffer.concat(parts);
}

const wrong = (name: string, what: string) =>
  new CairnError('INVALID_ARGUMENT', `input "${name}" ${what}`, name);
