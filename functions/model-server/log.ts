const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LEVELS)[number];

export type Log = (level: LogLevel, msg: string, fields?: Record<string, unknown>) => void;

/**
 * Writes JSON lines (level, time, msg and the fields given) to standard output. A logging library would add 10 MB to
 * each replica for this.
 */
export function jsonLog(least: LogLevel, write: (line: string) => void): Log {
  return (level, msg, fields) => {
    if (LEVELS.indexOf(level) < LEVELS.indexOf(least)) return;
    write(`${JSON.stringify({ level, time: Date.now(), msg, ...fields })}\n`);
  };
}
