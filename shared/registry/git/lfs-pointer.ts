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

/** What stands before it in `.gitattributes` is somebody's own. */
const MARK = '# The files of this version, written by Cairn: own lines stand above.\n';

/**
 * The `.gitattributes` that makes Git LFS handle exactly these paths; undefined when there are none.
 * @param own lines that stand there already and stay; the last line that fits a path is what counts
 * @param texts paths that Git keeps itself, whatever the own lines say
 */
export function lfsAttributes(
  paths: readonly string[],
  own: Uint8Array = new Uint8Array(),
  texts: readonly string[] = [],
): Uint8Array | undefined {
  const lines = [...paths].sort().map((path) => `${pattern(path)} filter=lfs diff=lfs merge=lfs -text\n`);
  if (own.length === 0) return lines.length === 0 ? undefined : Buffer.from(lines.join(''));
  const plain = Buffer.from(own.buffer, own.byteOffset, own.length).includes('filter=')
    ? [...texts].sort().map((path) => `${pattern(path)} !filter !diff !merge !text\n`)
    : [];
  const gap = own.at(-1) === '\n'.charCodeAt(0) ? '' : '\n';
  return Buffer.concat([own, Buffer.from([gap, MARK, ...lines, ...plain].join(''))]);
}

/** The lines of a `.gitattributes` that are somebody's own. */
export function ownAttributes(content: Uint8Array): Uint8Array {
  const mark = Buffer.from(content.buffer, content.byteOffset, content.length).indexOf(MARK);
  return mark < 0 ? content : content.subarray(0, mark);
}

/** A pattern that matches this path only: anchored, its glob characters escaped, C-quoted if it holds white space or quotes. */
function pattern(path: string): string {
  const literal = `/${path.replace(/[\\*?[\]]/g, '\\$&')}`;
  return /[\s"]/.test(literal) ? `"${literal.replace(/[\\"]/g, '\\$&')}"` : literal;
}
