import { type Logger, pino } from 'pino';

/**
 * JSON lines for CloudWatch Logs, with `timestamp` and `level` as Lambda's own lines have them. Of an error only its name,
 * message, stack and cause are written: an SDK's error can hold the request, and so a secret.
 */
export const openLog = (level = 'info'): Logger =>
  pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      serializers: { err: told },
    },
    pino.destination({ dest: 1, sync: true }),
  );

function told(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const { name, message, stack, cause } = error;
  return { name, message, stack, ...(cause === undefined ? {} : { cause: told(cause) }) };
}
