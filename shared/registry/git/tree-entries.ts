import { malformed } from './malformed.ts';
import { hexAt } from './pack-entry.ts';

/** A line of a tree. Its name is bytes: Git does not say in which encoding. */
export interface TreeEntry {
  /** As it stands there, octal: `100644`, `40000`. */
  readonly mode: string;
  readonly name: Buffer;
  readonly oid: string;
}

export const isTree = (mode: string) => mode === '40000';
/** A submodule's commit, which is no object of this repository. */
export const isSubmodule = (mode: string) => mode === '160000';

const NUL = 0;
const SPACE = 0x20;

/** A tree's entries in their order. @throws CairnError `INVALID_ARGUMENT` for what cannot be cut into entries */
export function* treeEntries(content: Uint8Array): Generator<TreeEntry> {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(SPACE, at);
    const nul = space < 0 ? -1 : bytes.indexOf(NUL, space);
    if (nul < 0 || nul + 21 > bytes.length || space - at > 7) throw malformed('A tree cannot be read.');
    yield {
      mode: bytes.toString('latin1', at, space),
      name: bytes.subarray(space + 1, nul),
      oid: hexAt(bytes, nul + 1),
    };
    at = nul + 21;
  }
}
