import type { Clock } from '../../../shared/ports/clock.ts';

interface Kept {
  readonly text: string;
  readonly until: number;
}

/** A token that expires is refused this much later at most. Revoking it is a write, which is seen at once. */
const LIFETIME_MS = 1000;
/** Characters of all answers together. */
const TEXT_MAX = 16_000_000;

/** Answers to reads, as long as nothing has been written since: the client asks for the same few things again and again. */
export interface AnswerMemory {
  find(name: string): string | undefined;
  /** Call it before reading: what it returns keeps the answer, unless something was written meanwhile. */
  begin(name: string): (text: string) => void;
}

/** @param revision another number after every write of the table; see `ApiDeps.revision` */
export function answerMemory(clock: Clock, revision: () => number): AnswerMemory {
  const kept = new Map<string, Kept>();
  let keptAt = revision();
  let size = 0;
  const forget = () => {
    kept.clear();
    size = 0;
  };
  return {
    find(name) {
      const now = revision();
      if (now !== keptAt) {
        forget();
        keptAt = now;
      }
      const found = kept.get(name);
      return found && found.until > clock.now() ? found.text : undefined;
    },
    begin(name) {
      const before = revision();
      return (text) => {
        if (revision() !== before || keptAt !== before || text.length > TEXT_MAX) return;
        if (size + text.length > TEXT_MAX) forget();
        kept.set(name, { text, until: clock.now() + LIFETIME_MS });
        size += text.length;
      };
    },
  };
}
