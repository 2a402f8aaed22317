/** The Git LFS pointer for a file. Source: git-lfs docs/spec.md, version 1. */
export function lfsPointer(file: { sha256: string; size: number }): Uint8Array {
  return Buffer.from(
    `version https://git-lfs.github.com/spec/v1\noid sha256:${file.sha256}\nsize ${file.size}\n`,
  );
}

/** Pointers are smaller than this. */
export const POINTER_MAX = 1024;

const POINTER =
  /^version https:\/\/git-lfs\.github\.com\/spec\/v1\n(?:ext-\d-\w+ sha256:[0-9a-f]{64}\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,15})\n$/;

/** What a pointer stands for; undefined for what is no pointer. */
export function parseLfsPointer(content: Uint8Array): { sha256: string; size: number } | undefined {
  if (content.length >= POINTER_MAX) return undefined;
  const [, sha256, size] = POINTER.exec(Buffer.from(content).toString()) ?? [];
  return sha256 === undefined ? undefined : { sha256, size: Number(size) };
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
