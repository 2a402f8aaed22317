import { CairnError } from '../../errors.ts';
import type { ObjectType } from './object.ts';

/** What a partial clone leaves out. Source: Git's Documentation/rev-list-options, `--filter`. */
export interface ObjectFilter {
  /** Blobs of at least so many bytes are left out; 0: all of them. */
  readonly blobLimit?: number;
  /** Trees and blobs at least so deep are left out; the root tree's depth is 0. */
  readonly treeDepth?: number;
  readonly type?: ObjectType;
}

/** @throws CairnError `NOT_SUPPORTED` for a filter that is not known */
export function parseFilter(spec: string, level = 0): ObjectFilter {
  if (spec === 'blob:none') return { blobLimit: 0 };
  const limit = /^blob:limit=(\d+)([kmg]?)$/i.exec(spec);
  if (limit)
    return { blobLimit: Number(limit[1]) * UNITS[(limit[2] ?? '').toLowerCase() as keyof typeof UNITS] };
  const depth = /^tree:(\d+)$/.exec(spec);
  if (depth) return { treeDepth: Number(depth[1]) };
  const type = /^object:type=(commit|tree|blob|tag)$/.exec(spec);
  if (type) return { type: type[1] as ObjectType };
  if (spec.startsWith('combine:') && level < LEVELS_MAX) {
    return spec
      .slice('combine:'.length)
      .split('+')
      .map((part) => parseFilter(decoded(part), level + 1))
      .reduce(both);
  }
  throw new CairnError(
    'NOT_SUPPORTED',
    `The filter "${spec.slice(0, 100)}" is not supported: blob:none, blob:limit=<n>, tree:<depth>, object:type=<type> are.`,
    'filter',
  );
}

/** `combine:` within `combine:`. */
const LEVELS_MAX = 10;

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw new CairnError('INVALID_ARGUMENT', 'A combined filter is not percent-encoded.', 'filter');
  }
}

const UNITS = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

function both(a: ObjectFilter, b: ObjectFilter): ObjectFilter {
  const least = (x: number | undefined, y: number | undefined) =>
    x === undefined ? y : y === undefined ? x : Math.min(x, y);
  const blobLimit = least(a.blobLimit, b.blobLimit);
  const treeDepth = least(a.treeDepth, b.treeDepth);
  const type = a.type ?? b.type;
  return {
    ...(blobLimit === undefined ? {} : { blobLimit }),
    ...(treeDepth === undefined ? {} : { treeDepth }),
    ...(type === undefined ? {} : { type }),
  };
}
