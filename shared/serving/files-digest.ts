import { createHash } from 'node:crypto';

/** One SHA-256, lower-case hex, over the list of a version's files: who has it takes no other list, whoever answers. */
export function filesDigest(
  files: readonly { readonly path: string; readonly size: number; readonly sha256: string }[],
): string {
  const lines = files.map(({ path, size, sha256 }) => `${JSON.stringify([path, size, sha256])}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}
