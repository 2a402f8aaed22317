import { malformed } from './malformed.ts';

/** What walking history needs of a commit. */
export interface CommitInfo {
  readonly tree: string;
  readonly parents: readonly string[];
  /** When it was committed, in seconds since the epoch. */
  readonly time: number;
}

const LF = 0x0a;

/** @throws CairnError `INVALID_ARGUMENT` for what is no commit */
export function parseCommit(content: Uint8Array): CommitInfo {
  const text = headerOf(content);
  const tree = /^tree ([0-9a-f]{40})$/m.exec(text)?.[1];
  if (tree === undefined) throw malformed('A commit has no tree.');
  const parents: string[] = [];
  for (let at = 46; text.startsWith('parent ', at); at += 48) parents.push(text.slice(at + 7, at + 47));
  const time = Number(/^committer .*> (\d+) [+-]\d+$/m.exec(text)?.[1] ?? 0);
  return { tree, parents, time };
}

/** A commit's author as Git has it (`Ada <ada@example.org>`) and its message. */
export function commitWords(content: Uint8Array): { author: string; message: string } {
  const text = Buffer.from(content).toString();
  const end = text.indexOf('\n\n');
  const author = /^author (.*> *)\d+ [+-]\d+$/m.exec(end < 0 ? text : text.slice(0, end))?.[1]?.trim() ?? '';
  return { author, message: end < 0 ? '' : text.slice(end + 2) };
}

/** The object that an annotated tag names. */
export function parseTag(content: Uint8Array): { object: string; type: string } {
  const match = /^object ([0-9a-f]{40})\ntype (\w+)\n/.exec(
    Buffer.from(content.subarray(0, 80)).toString('latin1'),
  );
  if (match?.[1] === undefined || match[2] === undefined) throw malformed('A tag names no object.');
  return { object: match[1], type: match[2] };
}

function headerOf(content: Uint8Array): string {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length);
  let end = bytes.indexOf('\n\n');
  if (end < 0) end = bytes.length;
  while (end > 0 && bytes[end - 1] === LF) end--;
  return bytes.toString('latin1', 0, end);
}
