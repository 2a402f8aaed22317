import { malformed } from './malformed.ts';
import { type GitObject, ZERO_OID } from './object.ts';
import { isSubmodule, isTree, treeEntries } from './tree-entries.ts';

/** An object that another one needs, and which kind it has to be (undefined: any). */
export interface Reference {
  readonly oid: string;
  readonly type?: 'commit' | 'tree' | 'blob' | 'tag';
  /** Its content tells clients where submodules are: see {@link checkModules}. */
  readonly modules?: true;
}

/**
 * What `git fsck --strict` would find in one object, and the objects that it needs. The ids in the messages are those of
 * Git's Documentation/fsck-msgids.
 * @throws CairnError `INVALID_ARGUMENT` naming the object and what is wrong
 */
export function checkObject(object: GitObject): Reference[] {
  const refuse = (problem: string) => malformed(`${object.type} ${object.oid} is refused: ${problem}.`);
  switch (object.type) {
    case 'tree':
      return checkTree(object.content, refuse);
    case 'commit':
      return checkCommit(object.content, refuse);
    case 'tag':
      return checkTag(object.content, refuse);
    case 'blob':
      return [];
  }
}

type Refuse = (problem: string) => Error;

const MODES = new Set(['100644', '100755', '120000', '40000', '160000']);

function checkTree(content: Uint8Array, refuse: Refuse): Reference[] {
  const references: Reference[] = [];
  let before: { name: Buffer; key: Buffer } | undefined;
  const files = new Set<string>();
  for (const { mode, name, oid } of treeEntries(content)) {
    if (!MODES.has(mode)) throw refuse(mode.startsWith('0') ? 'zeroPaddedFilemode' : `badFilemode: ${mode}`);
    if (oid === ZERO_OID) throw refuse('nullSha1: an entry names no object');
    const problem = problemOfName(name);
    if (problem !== undefined) throw refuse(`${problem}: an entry is called "${printable(name)}"`);
    if (mode === '120000' && isDotGitFile(name, 'gitmodules')) throw refuse('gitmodulesSymlink');
    const key = isTree(mode) ? Buffer.concat([name, SLASH]) : name;
    if (before) {
      if (Buffer.compare(before.name, name) === 0)
        throw refuse(`duplicateEntries: "${printable(name)}" stands twice`);
      if (Buffer.compare(before.key, key) >= 0)
        throw refuse(`treeNotSorted: "${printable(name)}" is out of order`);
    }
    const text = name.toString('latin1');
    // A file and a folder of one name need not stand side by side: `a`, `a.b`, `a/`.
    if (isTree(mode) && files.has(text)) throw refuse(`duplicateEntries: "${printable(name)}" stands twice`);
    if (!isTree(mode)) files.add(text);
    before = { name, key };
    if (isTree(mode)) references.push({ oid, type: 'tree' });
    else if (!isSubmodule(mode))
      references.push({ oid, type: 'blob', ...(isDotGitFile(name, 'gitmodules') && { modules: true }) });
  }
  return references;
}

const SLASH = Buffer.from('/');

function problemOfName(name: Buffer): string | undefined {
  if (name.length === 0) return 'emptyName';
  if (name.includes(SLASH)) return 'fullPathname';
  const text = name.toString('latin1');
  if (text === '.') return 'hasDot';
  if (text === '..') return 'hasDotdot';
  if (isGitDirectory(name)) return 'hasDotgit';
  return undefined;
}

/** Zero-width characters that HFS+ ignores when it compares names (Git's utf8.c, next_hfs_char). */
const HFS_IGNORED = /[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]/g;

/** `.git` as some file system would see it: in capitals, with what NTFS drops behind it, by its short name. */
function isGitDirectory(name: Buffer): boolean {
  if (!MAYBE_GIT.test(name.toString('latin1', 0, 64))) return false;
  // NTFS takes a backslash for a separator: any part counts (Git's is_ntfs_dotgit).
  return name
    .toString()
    .replace(HFS_IGNORED, '')
    .toLowerCase()
    .split('\\')
    .some((part) => /^\.git[ .]*(:.*)?$/.test(part) || /^git~1[ .]*(:.*)?$/.test(part));
}

const MAYBE_GIT = /g\W*i\W*t|\\|\xe2|\xef/i;

/** Whether the name is `.gitmodules` (or the like) to some file system. */
function isDotGitFile(name: Buffer, word: string): boolean {
  if (!MAYBE_GIT.test(name.toString('latin1'))) return false;
  const text = name.toString().replace(HFS_IGNORED, '').toLowerCase();
  return (
    new RegExp(`^\\.${word}[ .]*(:.*)?$`).test(text) || new RegExp(`^${word.slice(0, 6)}~[1-4]$`).test(text)
  );
}

/**
 * What of a `.gitmodules` could make a client run or overwrite something: names that leave their folder, and addresses and
 * paths that would be taken for options (CVE-2018-11235, CVE-2018-17456).
 * @throws CairnError `INVALID_ARGUMENT`
 */
export function checkModules(oid: string, content: Uint8Array): void {
  for (const line of Buffer.from(content).toString().split('\n')) {
    const section = /^\s*\[submodule\s+"(.*)"\s*\]/.exec(line)?.[1];
    const value = /^\s*(?:url|path)\s*=\s*"?(.*?)"?\s*$/i.exec(line)?.[1];
    const bad = section?.split(/[\\/]/).includes('..')
      ? 'gitmodulesName'
      : value?.startsWith('-') && 'gitmodulesUrl';
    if (bad) throw malformed(`blob ${oid} is refused: ${bad}: ${line.trim()}`);
  }
}

const OID = '[0-9a-f]{40}';

function checkCommit(content: Uint8Array, refuse: Refuse): Reference[] {
  const lines = headerLines(content, refuse);
  const tree = new RegExp(`^tree (${OID})$`).exec(lines.shift() ?? '')?.[1];
  if (tree === undefined) throw refuse('missingTree, or badTreeSha1');
  const references: Reference[] = [{ oid: tree, type: 'tree' }];
  while (lines[0]?.startsWith('parent ')) {
    const parent = new RegExp(`^parent (${OID})$`).exec(lines.shift() ?? '')?.[1];
    if (parent === undefined) throw refuse('badParentSha1');
    references.push({ oid: parent, type: 'commit' });
  }
  checkIdent('author', lines.shift(), refuse);
  if (lines[0]?.startsWith('author ')) throw refuse('multipleAuthors');
  checkIdent('committer', lines.shift(), refuse);
  return references;
}

const TAGGED = new Set(['commit', 'tree', 'blob', 'tag']);

function checkTag(content: Uint8Array, refuse: Refuse): Reference[] {
  const lines = headerLines(content, refuse);
  const oid = new RegExp(`^object (${OID})$`).exec(lines.shift() ?? '')?.[1];
  if (oid === undefined) throw refuse('missingObject, or badObjectSha1');
  const type = /^type (.+)$/.exec(lines.shift() ?? '')?.[1];
  if (type === undefined || !TAGGED.has(type)) throw refuse('missingType, or badType');
  if (!/^tag .+$/.test(lines.shift() ?? '')) throw refuse('missingTag');
  if (lines[0]?.startsWith('tagger ')) checkIdent('tagger', lines[0], refuse);
  return [{ oid, type: type as NonNullable<Reference['type']> }];
}

/** The lines before the first empty one. */
function headerLines(content: Uint8Array, refuse: Refuse): string[] {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  const end = bytes.indexOf('\n\n');
  const header = bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
  if (header.includes('\0')) throw refuse('nulInHeader');
  if (end < 0 && !header.endsWith('\n')) throw refuse('unterminatedHeader');
  return header.split('\n');
}

/** Git's fsck_ident: `name <mail> seconds zone`. */
function checkIdent(role: string, line: string | undefined, refuse: Refuse): void {
  if (line === undefined || !line.startsWith(`${role} `))
    throw refuse(`missing${role[0]?.toUpperCase()}${role.slice(1)}`);
  const ident = line.slice(role.length + 1);
  if (ident.startsWith('<')) throw refuse('missingNameBeforeEmail');
  const match = /^([^<>]*)<([^<>]*)>(.*)$/.exec(ident);
  if (!match) throw refuse(ident.includes('<') ? 'badName or badEmail' : 'missingEmail');
  if (!match[1]?.endsWith(' ')) throw refuse('missingSpaceBeforeEmail');
  const [, time, zone] = /^ (\d+) ([+-]\d{4})$/.exec(match[3] ?? '') ?? [];
  if (time === undefined || zone === undefined) throw refuse('badDate or badTimezone');
  if (time.length > 1 && time.startsWith('0')) throw refuse('zeroPaddedDate');
  if (BigInt(time) > 9_223_372_036_854_775_807n) throw refuse('badDateOverflow');
}

const printable = (name: Buffer) => JSON.stringify(name.toString()).slice(1, -1);
