/** The Git LFS pointer for a file. Source: git-lfs docs/spec.md, version 1. */
export function lfsPointer(file: { sha256: string; size: number }): Uint8Array {
  return Buffer.from(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${file.sha256}\nsize ${file.size}\n`,
  );
}

/** The `.gitattributes` that makes Git LFS handle exactly these paths; undefined when there are none. */
export function lfsAttributes(paths: readonly string[]): Uint8Array | undefined {
  if (paths.length === 0) return undefined;
  const lines = [...paths].sort().map((path) => `${pattern(path)} filter=lfs diff=lfs merge=lfs -text\n`);
  return Buffer.from(lines.join(''));
}

/** A pattern that matches this path only: anchored, its glob characters escaped, C-quoted if it holds white space or quotes. */
function pattern(path: string): string {
  const literal = `/${path.replace(/[\\*?[\]]/g, '\\$&')}`;
  return /[\s"]/.test(literal) ? `"${literal.replace(/[\\"]/g, '\\$&')}"` : literal;
}
