interface Float16Array extends ArrayLike<number> {
  readonly buffer: ArrayBuffer;
}

/** ECMAScript 2025's array of IEEE 754 binary16 numbers, which TypeScript's es2024 library does not declare. */
const Halves = Reflect.get(globalThis, 'Float16Array') as {
  new (length: number): Float16Array & number[];
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): Float16Array & number[];
};

/** The numbers that 16-bit patterns stand for, sharing memory. */
export function halvesOf(bits: Uint16Array): { [index: number]: number; readonly length: number } {
  return new Halves(bits.buffer, bits.byteOffset, bits.length);
}
