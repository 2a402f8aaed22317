import { createHash } from 'node:crypto';

export type ObjectType = 'commit' | 'tree' | 'blob' | 'tag';

/** A Git object: its id (SHA-1 of header and content), type and content. */
export interface GitObject {
  readonly oid: string;
  readonly type: ObjectType;
  readonly content: Uint8Array;
}

/** Makes the object of that content. Source: Git's Documentation/user-manual, "Object storage format". */
export function gitObject(type: ObjectType, content: Uint8Array): GitObject {
  const oid = createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest('hex');
  return { oid, type, content };
}

/** Stands for "no object" where a ref is made or deleted. */
export const ZERO_OID = '0'.repeat(40);

export const isOid = (text: string): boolean => /^[0-9a-f]{40}$/.test(text);
