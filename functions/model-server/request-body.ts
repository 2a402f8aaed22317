import type { IncomingMessage, ServerResponse } from 'node:http';
import { CairnError } from '../../shared/errors.ts';

const MIB = 1024 * 1024;
/** JSON of numbers takes up to twenty times its length while it is parsed; a third of the memory is for that. */
const JSON_SHARE = 1 / 64;
/** Of the memory, for the bodies of all requests that are under way. */
const BODIES_SHARE = 1 / 8;

export interface BodyLimits {
  /** Bytes of one body. */
  readonly bodyLimit: number;
  /** What the process may use. */
  readonly memoryMiB: number;
}

/** Takes in the bodies of requests, no more at once than the memory is good for. */
export interface RequestBodies {
  /**
   * The body's bytes. The rest of one that is refused is read and forgotten, so that the client sees the answer.
   * @param json bytes of it that are JSON; all, when undefined
   * @throws CairnError `TOO_LARGE`, `ENDPOINT_NOT_READY` when others' bodies leave no room
   */
  read(request: IncomingMessage, response: ServerResponse, json?: number): Promise<Buffer>;
}

export function requestBodies({ bodyLimit, memoryMiB }: BodyLimits): RequestBodies {
  const room = memoryMiB * MIB * BODIES_SHARE;
  const limit = Math.min(bodyLimit, room);
  const jsonLimit = Math.min(limit, memoryMiB * MIB * JSON_SHARE);
  let held = 0;

  return {
    read: (request, response, json) =>
      new Promise((resolve, reject) => {
        const announced = Number(request.headers['content-length'] ?? 0);
        const chunks: Buffer[] = [];
        let size = 0;
        const refuse = (error: CairnError) => {
          request.removeAllListeners('data').resume();
          reject(error);
        };
        const refusal = (bytes: number, more: number): CairnError | undefined => {
          if (bytes > limit) return tooLarge(`the body is longer than ${limit} bytes`);
          if ((json ?? bytes) > jsonLimit) {
            const advice = 'send tensors in binary, or give the endpoint more memory';
            return tooLarge(`JSON of more than ${jsonLimit} bytes is not taken: ${advice}`);
          }
          if (held + more <= room) return undefined;
          return new CairnError(
            'ENDPOINT_NOT_READY',
            'there is no room for the body beside those of other requests',
          );
        };
        const early = refusal(announced, announced);
        if (early) return refuse(early);
        response.once('close', () => {
          held -= size;
        });
        request.on('data', (chunk: Buffer) => {
          const late = refusal(size + chunk.length, chunk.length);
          if (late) return refuse(late);
          size += chunk.length;
          held += chunk.length;
          chunks.push(chunk);
        });
        request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
        request.on('error', () =>
          reject(new CairnError('INVALID_ARGUMENT', `the body ended after ${size} bytes`)),
        );
      }),
  };
}

const tooLarge = (detail: string) => new CairnError('TOO_LARGE', detail);
