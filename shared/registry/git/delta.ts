import { malformed } from './malformed.ts';

/** Sizes that a delta says: of the object it applies to and of the one it makes. */
export interface DeltaHeader {
  readonly baseSize: number;
  readonly size: number;
  /** Where its instructions begin. */
  readonly at: number;
}

export function readDeltaHeader(delta: Uint8Array): DeltaHeader {
  let at = 0;
  const number = () => {
    let value = 0;
    for (let weight = 1; ; weight *= 128) {
      const byte = delta[at++];
      if (byte === undefined || weight > 2 ** 45) throw malformed('A delta has no sizes.');
      value += (byte & 0x7f) * weight;
      if (!(byte & 0x80)) return value;
    }
  };
  return { baseSize: number(), size: number(), at };
}

/**
 * The object that a delta makes of its base: pieces of the base and of its own.
 * Source: Git's Documentation/gitformat-pack, "Deltified representation".
 * @param limit greatest size of the result
 */
export function applyDelta(base: Uint8Array, delta: Uint8Array, limit: number): Uint8Array {
  const header = readDeltaHeader(delta);
  if (header.baseSize !== base.length) throw malformed('A delta is for a base of another size.');
  if (header.size > limit) throw malformed(`A delta makes an object of ${header.size} bytes.`);
  const result = Buffer.allocUnsafe(header.size);
  let written = 0;
  let { at } = header;
  while (at < delta.length) {
    const op = delta[at++] ?? 0;
    if (op & 0x80) {
      let from = 0;
      let length = 0;
      for (let bit = 0; bit < 4; bit++) if (op & (1 << bit)) from += (delta[at++] ?? 0) * 256 ** bit;
      for (let bit = 0; bit < 3; bit++) if (op & (16 << bit)) length += (delta[at++] ?? 0) * 256 ** bit;
      if (length === 0) length = 0x10000;
      if (from + length > base.length || written + length > header.size)
        throw malformed('A delta copies what its base does not have.');
      result.set(base.subarray(from, from + length), written);
      written += length;
    } else {
      if (op === 0 || at + op > delta.length || written + op > header.size)
        throw malformed('A delta has a broken instruction.');
      result.set(delta.subarray(at, at + op), written);
      at += op;
      written += op;
    }
  }
  if (written !== header.size) throw malformed('A delta makes fewer bytes than it says.');
  return result;
}
