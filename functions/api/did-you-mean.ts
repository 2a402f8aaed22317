import type * as z from 'zod';

/** The known word that a mistyped one is nearest to, if it is near. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)));
  near.sort((a, b) => a.distance - b.distance);
  return near[0]?.candidate;
}

/** Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours. */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 8 || a.length > 64) return Number.POSITIVE_INFINITY;
  let [before, row] = [[] as number[], Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      next[j] = Math.min(
        (row[j] ?? 0) + 1,
        (next[j - 1] ?? 0) + 1,
        (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        swapped ? (before[j - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    [before, row] = [row, next];
  }
  return row[b.length] ?? 0;
}

interface Definition {
  readonly type: string;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
  readonly element?: z.ZodType;
  readonly innerType?: z.ZodType;
  readonly in?: z.ZodType;
  readonly out?: z.ZodType;
  readonly options?: readonly z.ZodType[];
}

/** The field names that a schema knows at a path into its input. */
export function knownFields(schema: z.ZodType | undefined, path: readonly PropertyKey[]): string[] {
  if (!schema) return [];
  const definition = schema.def as unknown as Definition;
  if (definition.innerType) return knownFields(definition.innerType, path);
  if (definition.options) return definition.options.flatMap((option) => knownFields(option, path));
  if (definition.type === 'pipe') {
    const inner = definition.in?.def.type === 'transform' ? definition.out : definition.in;
    return knownFields(inner, path);
  }
  const [first, ...rest] = path;
  if (first === undefined) return Object.keys(definition.shape ?? {});
  if (definition.element) return knownFields(definition.element, rest);
  return knownFields(definition.shape?.[String(first)], rest);
}
