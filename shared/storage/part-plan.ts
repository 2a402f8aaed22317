const MIB = 1024 * 1024;

/** Files up to this size travel in one request. */
const SINGLE_MAX = 64 * MIB;
/** S3's greatest number of parts. */
export const PARTS_MAX = 10_000;
/** S3's greatest part, and the most that one request stores: 5 GiB. */
export const PART_BYTES_MAX = 5 * 1024 * MIB;
/** S3's greatest object: 5 TiB. */
export const FILE_MAX = 5 * 1024 * 1024 * MIB;

/** How a file is cut for its upload: `parts` pieces of `partSize` bytes, the last one with the rest. */
export interface PartPlan {
  readonly partSize: number;
  readonly parts: number;
}

export function planParts(size: number): PartPlan {
  if (size <= SINGLE_MAX) return { partSize: size, parts: 1 };
  const partSize = Math.max(SINGLE_MAX, Math.ceil(size / PARTS_MAX / MIB) * MIB);
  return { partSize, parts: Math.ceil(size / partSize) };
}

/** The bytes of part `number` (from 1) of a file of `size` bytes. */
export function partLength(size: number, plan: PartPlan, number: number): number {
  return number < plan.parts ? plan.partSize : size - plan.partSize * (plan.parts - 1);
}
