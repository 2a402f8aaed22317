/** Others get a turn after this many milliseconds of work. */
const TURN_MS = 15;

/**
 * Lets long work be interrupted: call it often, and now and then it gives everybody else in the process a turn.
 * Awaiting what is there already does not.
 */
export function turns(): () => Promise<void> | undefined {
  let until = performance.now() + TURN_MS;
  return () => {
    if (performance.now() < until) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        until = performance.now() + TURN_MS;
        resolve();
      });
    });
  };
}
