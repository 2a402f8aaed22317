import { type GitObject, gitObject } from './object.ts';

export interface CommitInput {
  readonly tree: string;
  readonly parents: readonly string[];
  /** A principal's name. */
  readonly author: string;
  /** Milliseconds since the epoch; Git keeps whole seconds. */
  readonly at: number;
  readonly message: string;
}

/** The commit object, author and committer being the same, in UTC. */
export function commitObject(input: CommitInput): GitObject {
  const ident = `${identName(input.author)} <${identMail(input.author)}> ${Math.floor(input.at / 1000)} +0000`;
  const lines = [
    `tree ${input.tree}`,
    ...input.parents.map((parent) => `parent ${parent}`),
    `author ${ident}`,
    `committer ${ident}`,
    '',
    input.message.endsWith('\n') ? input.message : `${input.message}\n`,
  ];
  return gitObject('commit', Buffer.from(lines.join('\n')));
}

/** Git's ident may not hold `<`, `>` or a line end, nor be empty (fsck: badName, missingName…). */
function identName(principal: string): string {
  return principal.replace(/[<>\n\0]/g, '').trim() || 'unknown';
}

/** An address in the reserved domain `.invalid` (RFC 2606): nobody's, and it says whose commit it is. */
function identMail(principal: string): string {
  return `${principal.replace(/[^\w.+-]/g, '-')}@cairn.invalid`;
}
