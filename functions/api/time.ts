import { z } from '@hono/zod-openapi';

/** RFC 3339 in UTC with milliseconds, as every time in the API is. */
export const Time = z.iso.datetime().meta({ format: 'date-time', pattern: undefined, example: '2026-03-01T08:30:00.000Z' });

/** Milliseconds since the epoch → RFC 3339. */
export const rfc3339 = (at: number): string => new Date(at).toISOString();
