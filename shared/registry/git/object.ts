import { createHash, hash } from 'node:crypto';

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

/** A Git object: its id (SHA-1 of header and content), type and content. */
export interface GitObject {
  readonly oid: string;
  readonly type: ObjectType;
  readonly content: Uint8Array;
}

/** Makes the object of that content. Source: Git's Documentation/user-manual, "Object storage format". */
export function gitObject(type: ObjectType, content: Uint8Array): GitObject {
  const header = Buffer.from(`${type} ${content.length}\0`);
  // For a small one the copy costs less than a hash that is fed twice.
  const oid =
    content.length <= COPIED_MAX
      ? hash('sha1', Buffer.concat([header, content]), 'hex')
      : createHash('sha1').update(header).update(content).digest('hex');
  return { oid, type, content };
}

const COPIED_MAX = 64 * 1024;

/** Stands for "no object" where a ref is made or deleted. */
export const ZERO_OID = '0'.repeat(40);

export const isOid = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);
