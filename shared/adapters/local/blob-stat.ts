import type { BigIntStats } from 'node:fs';

/** A file is never written again, so which file it is tells which bytes they are. */
export function toStat({ size, ino, mtimeNs }: Pick<BigIntStats, 'size' | 'ino' | 'mtimeNs'>): {
  size: number;
  etag: string;
} {
  return { size: Number(size), etag: `${ino.toString(36)}-${size.toString(36)}-${mtimeNs.toString(36)}` };
}
