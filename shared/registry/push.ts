import type { PackLimits } from './git/index-pack.ts';
import type { Wait } from './pushed-files.ts';

/** What a push asks of one ref. Zeros stand for "not there". */
export interface RefCommand {
  readonly name: string;
  readonly old: string;
  readonly new: string;
}

export interface Push {
  readonly commands: readonly RefCommand[];
  /** All of it or nothing. */
  readonly atomic: boolean;
  readonly pack?: Uint8Array | undefined;
  readonly limits: PackLimits;
  /** Waits for LFS objects of `main`'s files that are still being verified. */
  readonly wait?: Wait | undefined;
}

export interface PushReport {
  /** Why no object was taken. */
  readonly unpack?: string;
  readonly results: readonly { readonly name: string; readonly problem?: string }[];
  /** Sentences for the person who pushed. */
  readonly notes: readonly string[];
}
