import { type GitObject, gitObject } from './object.ts';

/** A file of a tree: its path from the root, the blob's id and the mode. */
export interface TreeFile {
  readonly path: string;
  readonly oid: string;
  readonly mode: FileMode;
}

export type FileMode = '100644' | '100755';

interface Folder {
  readonly files: Map<string, TreeFile>;
  readonly folders: Map<string, Folder>;
}

const folder = (): Folder => ({ files: new Map(), folders: new Map() });

/** The tree objects that hold the files, the root last. No path may be both a file and a folder. */
export function buildTrees(files: Iterable<TreeFile>): GitObject[] {
  const root = folder();
  for (const file of files) {
    const parts = file.path.split('/');
    const name = parts.pop() ?? '';
    let at = root;
    for (const part of parts) {
      const next = at.folders.get(part) ?? folder();
      at.folders.set(part, next);
      at = next;
    }
    at.files.set(name, file);
  }
  const trees: GitObject[] = [];
  writeTree(root, trees);
  return trees;
}

function writeTree(at: Folder, trees: GitObject[]): string {
  const entries: { sortKey: Buffer; line: Buffer; oid: string }[] = [];
  const add = (mode: string, name: string, sortName: string, oid: string) =>
    entries.push({ sortKey: Buffer.from(sortName), line: Buffer.from(`${mode} ${name}\0`), oid });
  for (const [name, file] of at.files) add(file.mode, name, name, file.oid);
  // Git compares a folder's name as if it ended in "/" (base_name_compare).
  for (const [name, sub] of at.folders) add('40000', name, `${name}/`, writeTree(sub, trees));
  entries.sort((a, b) => Buffer.compare(a.sortKey, b.sortKey));
  const tree = gitObject(
    'tree',
    Buffer.concat(entries.flatMap((entry) => [entry.line, Buffer.from(entry.oid, 'hex')])),
  );
  trees.push(tree);
  return tree.oid;
}
