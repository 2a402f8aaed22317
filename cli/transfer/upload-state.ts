import { createHash, randomUUID } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writePrivately } from '../settings.ts';

/** An upload that was begun: kept from before the server knows of it until its version is READY. */
export interface UploadState {
  readonly format: 1;
  /** Asks for the same upload again, should its answer not have arrived. */
  readonly idempotencyKey: string;
  readonly upload?: string;
}

/** What makes a push the same push: server, model, bytes and words. */
export const uploadStateFile = (folder: string, push: unknown) =>
  join(folder, `${createHash('sha256').update(JSON.stringify(push)).digest('hex')}.json`);

/** What an earlier, interrupted run left; a damaged file counts as none. */
export async function readUploadState(file: string): Promise<UploadState | undefined> {
  try {
    const state = JSON.parse(await readFile(file, 'utf8')) as UploadState;
    return state.format === 1 && typeof state.idempotencyKey === 'string' ? state : undefined;
  } catch {
    return undefined;
  }
}

export const newUploadState = (): UploadState => ({ format: 1, idempotencyKey: randomUUID() });

export const writeUploadState = (file: string, state: UploadState) => writePrivately(file, state);

export const removeUploadState = (file: string) => rm(file, { force: true });
