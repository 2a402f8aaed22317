import type { Port } from './model.ts';
import type { Run } from './runtime.ts';
import { DATATYPES, joinRows, rowsOf, sizeOf, type Tensor, type Tensors } from './tensor.ts';

/** Inputs of zeros (empty strings, false), 1 in every dimension that may vary. */
export function zeros(inputs: readonly Port[]): Tensors {
  return Object.fromEntries(inputs.map((input) => [input.name, fill(input, shapeFor(input, 1, 1), () => 0)]));
}

/** Sizes to try for dimensions other than the first that may vary; models often need more than one element. */
const SIZES = [4, 1];
const TOLERANCE = 1e-4;

/**
 * Whether rows along the first dimension can be run together: all inputs and outputs have a first dimension that
 * varies under the same name, and two rows of zeros and ones give the same answers alone and together. A signature
 * alone cannot tell a batch from, for example, the steps of a sequence.
 */
export async function rowsAreIndependent(
  run: Run,
  inputs: readonly Port[],
  outputs: readonly Port[],
  because: (why: string) => void,
): Promise<boolean> {
  const fixed = [...inputs, ...outputs].find(({ shape }) => shape?.[0] !== -1);
  if (fixed !== undefined || inputs.length === 0) {
    because(
      fixed === undefined ? 'there are no inputs' : `the first dimension of "${fixed.name}" does not vary`,
    );
    return false;
  }
  if (new Set(inputs.map((input) => input.dimensions?.[0] ?? null)).size > 1) {
    because('the first dimensions of the inputs have different names');
    return false;
  }
  const names = outputs.map((output) => output.name);
  let failure = '';
  for (const size of SIZES) {
    try {
      const rows = [1, 2].map((row) => pattern(inputs, size, row));
      const alone: Tensors[] = [];
      for (const row of rows) alone.push((await run(row, names)).outputs);
      const together = Object.fromEntries(
        inputs.map(({ name }) => [name, joinRows(rows.map((row) => row[name] as Tensor))]),
      );
      const answer = (await run(together, names)).outputs;
      const differs = names.find((name) => !alone.every((one, row) => agrees(one[name], answer[name], row)));
      if (differs === undefined) return true;
      because(`"${differs}" of a row depends on the rows beside it`);
      return false;
    } catch (error) {
      failure = (error as Error).message;
    }
  }
  because(`ones and zeros do not fit this model: ${failure}`);
  return false;
}

function agrees(alone: Tensor | undefined, together: Tensor | undefined, row: number): boolean {
  if (alone?.shape[0] !== 1 || together?.shape[0] !== 2) return false;
  const part = rowsOf(together, row, row + 1);
  if (part.shape.join() !== alone.shape.join()) return false;
  for (let n = 0; n < alone.data.length; n++) {
    const [a, b] = [alone.data[n], part.data[n]];
    if (a === b || (typeof a === 'number' && Math.abs(a - Number(b)) <= TOLERANCE * Math.max(1, Math.abs(a))))
      continue;
    if (!(Number.isNaN(a) && Number.isNaN(b))) return false;
  }
  return true;
}

function pattern(inputs: readonly Port[], size: number, row: number): Tensors {
  const bit = (n: number) => (Math.imul(n + 1, 0x9e3779b1) >>> (8 + row * 3)) & 1;
  return Object.fromEntries(inputs.map((input) => [input.name, fill(input, shapeFor(input, 1, size), bit)]));
}

function shapeFor(input: Port, first: number, others: number): number[] {
  return (input.shape ?? []).map((size, n) => (size >= 0 ? size : n === 0 ? first : others));
}

function fill(input: Port, shape: number[], value: (n: number) => number): Tensor {
  const { datatype } = input;
  const length = sizeOf(shape);
  if (datatype === 'BYTES') {
    return { datatype, shape, data: Array.from({ length }, (_, n) => (value(n) === 0 ? '' : '1')) };
  }
  const one = datatype === 'FP16' ? 0x3c00 : 1;
  const data = new DATATYPES[datatype].array(length);
  for (let n = 0; n < length; n++) {
    if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[n] = BigInt(value(n));
    else data[n] = value(n) * one;
  }
  return { datatype, shape, data };
}
