import { setTimeout as pause } from 'node:timers/promises';
import { listed, type Wait } from '../../../shared/registry/pushed-files.ts';

export interface VerifyWait {
  readonly most: number;
  readonly every: number;
}

/** Far below what a client or a gateway takes for a dead connection, and long enough for a GB or two. */
const USUAL: VerifyWait = { most: 20_000, every: 1000 };

/** What lets a push wait for bytes that are being verified, and tells its person of it. */
export interface PushProgress {
  readonly wait: Wait;
  /** Resolves when the push has to wait. */
  readonly begun: Promise<'waiting'>;
  /** Lines for the person at the other end, until the work has ended. */
  lines(work: Promise<unknown>): AsyncGenerator<string>;
}

export function pushProgress({ most, every }: VerifyWait = USUAL): PushProgress {
  const begun = Promise.withResolvers<'waiting'>();
  const waiting: string[] = [];
  let more = Promise.withResolvers<void>();
  let looks = 0;
  return {
    begun: begun.promise,
    async wait(paths) {
      if (looks === 0) waiting.push(`Verifying the bytes of ${listed(paths)} ...`);
      begun.resolve('waiting');
      more.resolve();
      if (++looks * every > most) return false;
      await pause(every);
      return true;
    },
    async *lines(work) {
      const ended = work.then(
        () => 'ended' as const,
        () => 'ended' as const,
      );
      for (;;) {
        yield* waiting.splice(0);
        const next = await Promise.race([ended, more.promise]);
        more = Promise.withResolvers();
        if (next === 'ended') break;
      }
      yield* waiting.splice(0);
    },
  };
}
