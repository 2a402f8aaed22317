import * as z from 'zod';

/** RFC 3339 in UTC with milliseconds, as every time in the API is. */
export const Time = z.iso
  .datetime()
  .meta({ format: 'date-time', pattern: undefined, example: '2026-03-01T08:30:00.000Z' });

const DAY_MS = 24 * 3600 * 1000;
let day = Number.NaN;
let date = '';

/** Milliseconds since the epoch → RFC 3339. Keeps the day's text, since most times of an answer are of one day. */
export function rfc3339(at: number): string {
  const ms = at % DAY_MS;
  if (at < 0 || !Number.isInteger(at)) return new Date(at).toISOString();
  if (at - ms !== day) {
    day = at - ms;
    date = new Date(at).toISOString().slice(0, 11);
  }
  const two = (value: number) => (value < 10 ? `0${value}` : `${value}`);
  const milli = `${1000 + (ms % 1000)}`.slice(1);
  return `${date}${two(Math.floor(ms / 3_600_000))}:${two(Math.floor(ms / 60_000) % 60)}:${two(Math.floor(ms / 1000) % 60)}.${milli}Z`;
}
